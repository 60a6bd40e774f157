"""Reference pictures, of which translations take the style."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.image_sets import DecodedImage
from gan_lab.data.reading.listing import IMAGE_SUFFIXES, Entry, list_images
from gan_lab.data.reading.resize import ResizeSpec


@dataclass(frozen=True)
class Reference:
    """A picture.

    Args:
        name: its path in a folder, with underscores and without ending; empty for a picture that was given itself.
        pixels: uint8 (C, H, W).
    """

    name: str
    pixels: Tensor


def read_references(path: Path, spec: ResizeSpec, key: str = "reference") -> list[Reference]:
    """Returns a picture, or those in a folder or zip; damaged ones of several are left out, and named.

    Args:
        path: the picture, folder or zip.
        spec: size and channels.
        key: the user's name for it, in errors.

    Raises:
        UserError: if there is no picture that can be read.
    """
    single = path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES
    if not single and path.is_file() and path.suffix.lower() != ".zip":
        raise UserError(f"{key}={path} is no picture: give a picture, or a folder or zip of pictures.")
    entries = [Entry((path.name,), str(path))] if single else list_images(path, key)
    found, damaged = list[Reference](), list[str]()
    for entry, image in zip(entries, ImageFiles(entries).render(spec), strict=True):
        if isinstance(image, DecodedImage):
            found.append(Reference("" if single else _stem(entry), torch.tensor(image.pixels)))
        else:
            damaged.append(f"{entry.name} ({image.reason})")
    if not found:
        raise UserError(f"{key}={path} cannot be read as a picture: {damaged[0]}.")
    if damaged:
        rank_zero_warn(f"{len(damaged)} damaged references are left out: {', '.join(damaged)}.")
    return _distinct(found)


def _stem(entry: Entry) -> str:
    return "_".join([*entry.parts[:-1], Path(entry.parts[-1]).stem])


def _distinct(references: list[Reference]) -> list[Reference]:
    """Numbers those that have a name of an earlier one."""
    names: list[str] = []
    for reference in references:
        name, number = reference.name, 2
        while name in names:
            name, number = f"{reference.name}_{number}", number + 1
        names.append(name)
    return [replace(each, name=name) for each, name in zip(references, names, strict=True)]
