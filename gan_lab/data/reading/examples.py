"""Examples: images in a model's size, and which of them have an attribute, by folders of classes or by a table."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.image_sets import DecodedImage
from gan_lab.data.reading.listing import IMAGE_SUFFIXES, Entry, list_images, natural_key
from gan_lab.data.reading.passed_over import PassedOver
from gan_lab.data.reading.resize import ResizeSpec

Attribute = tuple[Sequence[int], Sequence[int]]
"""Numbers of the images without an attribute, and of those with it."""
YES = ("1", "yes", "true")
"""Values of a table that say no more than its column's name does."""


@dataclass(frozen=True)
class Examples:
    """Images, and which of them have an attribute.

    Args:
        images: (N, C, H, W) in [-1, 1].
        attributes: by name; an image can be in neither set.
    """

    images: Tensor
    attributes: Mapping[str, Attribute]


def pictures_in(folder: Path, key: str, spec: ResizeSpec) -> Tensor:
    """Returns the images (N, C, H, W) in [-1, 1] of a folder or zip, in a model's size; damaged ones are left out.

    Args:
        folder: the folder or zip, or one image.
        key: the user's name for it, in errors.
        spec: size and channels.

    Raises:
        UserError: if there are none that can be read.
    """
    single = folder.is_file() and folder.suffix.lower() in IMAGE_SUFFIXES
    entries = [Entry((folder.name,), str(folder))] if single else list_images(folder, key)
    return _decoded(entries, key, folder, spec)[1]


def two_sets(a: Tensor, b: Tensor, name: str) -> Examples:
    """Returns images ``a`` (N, C, H, W) without an attribute, and ``b`` (M, C, H, W) with it, as examples."""
    return Examples(torch.cat([a, b]), {name: (range(len(a)), range(len(a), len(a) + len(b)))})


def read_examples(path: Path, spec: ResizeSpec, key: str = "examples") -> Examples:
    """Reads examples of attributes.

    Args:
        path: a folder or zip with a folder for each class, where each class against all others is an attribute; or a
            table (.csv) beside images, with their names in the first column. Its other columns with two values, such as
            0 and 1 or female and male, are attributes; images without a value are left out.
        spec: size and channels of the images.
        key: the user's name for it, in errors.

    Raises:
        UserError: if no image can be read, and if there are no attributes.
    """
    table = path.suffix.lower() == ".csv"
    rows = _table(path, key) if table else {}
    listed = list_images(path.parent, key, PassedOver()) if table else list_images(path, key)
    entries, images = _decoded(listed, key, path, spec)
    attributes = _of_columns(rows, entries) if table else _of_folders(entries)
    if not attributes:
        wanted = "columns with two values" if table else "folders of classes"
        raise UserError(f"{key}={path} has no {wanted}: give a table of attributes (.csv), or a folder for each class.")
    return Examples(images, attributes)


def _decoded(entries: Sequence[Entry], key: str, path: Path, spec: ResizeSpec) -> tuple[list[Entry], Tensor]:
    """Returns the images that can be read, and their entries."""
    found = list(zip(entries, ImageFiles(entries).render(spec), strict=True))
    kept = [(entry, torch.tensor(image.pixels)) for entry, image in found if isinstance(image, DecodedImage)]
    if not kept:
        raise UserError(f"No image of {key}={path} can be read: give a folder or zip of images.")
    return [entry for entry, _ in kept], to_float(torch.stack([pixels for _, pixels in kept]))


def _of_folders(entries: Sequence[Entry]) -> dict[str, Attribute]:
    """Returns each class against all others, the only class of two against the other."""
    classes = [entry.parts[0] if len(entry.parts) > 1 else "" for entry in entries]
    names = sorted({*classes} - {""}, key=natural_key)
    if len(names) < 2:
        return {}
    wanted = names[1:] if len(names) == 2 else names
    return {
        name: ([i for i, own in enumerate(classes) if own not in ("", name)],
               [i for i, own in enumerate(classes) if own == name])
        for name in wanted
    }  # fmt: skip


def _table(path: Path, key: str) -> dict[str, dict[str, str]]:
    """Returns the values of each file by column.

    Raises:
        UserError: if the table cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [*csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{key}={path} cannot be read ({error}): give a table of attributes (.csv).") from error
    return {(next(iter(row.values())) or "").strip(): row for row in rows}


def _of_columns(rows: Mapping[str, Mapping[str, str]], entries: Sequence[Entry]) -> dict[str, Attribute]:
    """Returns the attributes of the columns that have two values among the images."""
    own = [rows.get(entry.name) or rows.get(entry.parts[-1]) or {} for entry in entries]
    columns = [*next(iter(rows.values()), {})][1:]
    found, passed = dict[str, Attribute](), list[str]()
    for column in columns:
        values = [(row.get(column) or "").strip() for row in own]
        either = sorted({*values} - {""}, key=_order)
        if len(either) == 2:
            name = column if either[1].lower() in YES else either[1]
            without, with_it = ([i for i, value in enumerate(values) if value == each] for each in either)
            found[name] = without, with_it
        elif either:
            passed.append(f"{column} ({len(either)})")
    if passed and found:
        rank_zero_warn(f"These columns do not have two values, and are passed over: {', '.join(passed)}.")
    return found


def _order(value: str) -> tuple[float, str]:
    """Returns a key that sorts numbers by their value, and other texts behind them."""
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value
