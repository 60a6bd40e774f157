"""Photographs with label maps of the same names, at the size of a model's images."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import torch
from torch import Tensor

from gan_lab.common.domains import UNKNOWN, Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.data.reading.images import NotLabelMapError, read_image, reason
from gan_lab.data.reading.listing import Entry, list_images, open_entry, open_zips
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.sources.domains import by_stem
from gan_lab.inference.placing import part_of
from gan_lab.inference.tiling.pixels import resize

IDS = Domain(1, 256)
MOST_CLASSES = 64
"""More colours than these are those of a photograph."""
BYTES = torch.tensor([65536, 256, 1])


@dataclass(frozen=True)
class LabelPairs:
    """Photographs with the classes of their pixels.

    Args:
        images: (N, C, H, W) in [-1, 1].
        classes: int64 (N, H, W), from 0; -1 for pixels without a class.
        names: of the classes: their ids, or colours such as #ffcc00.
    """

    images: Tensor
    classes: Tensor
    names: list[str]


def label_pairs(images: Path, labels: Path, spec: ResizeSpec) -> LabelPairs:
    """Reads photographs and their label maps: the part in the middle that has the shape of the model's images.

    Label maps are PNG files with a class id or a colour for each pixel. The id 255 beside two others means no class.

    Args:
        images, labels: folders or zips, in which the files of a pair have the same name apart from the suffix.
        spec: size and channels of the model's images.

    Raises:
        UserError: if there are no pairs, a file cannot be read, and for label maps with a single class or too many.
    """
    files = {key: by_stem(list_images(path, key)) for key, path in (("images", images), ("labels", labels))}
    stems = sorted(files["images"].keys() & files["labels"].keys())
    if not stems:
        raise UserError(f"No file of images={images} has the name of one in labels={labels}: name pairs alike.")
    photos = _read([files["images"][stem] for stem in stems], Domain(spec.channels), spec)
    maps = [files["labels"][stem] for stem in stems]
    colours = _is_coloured(maps[0])
    values = _read(maps, Domain(3) if colours else IDS, spec, label_maps=True).long()
    codes = (values * BYTES.view(-1, 1, 1)).sum(1) if colours else values[:, 0]
    known = _known(codes, colours, labels)
    classes = torch.searchsorted(known, codes).clamp(max=len(known) - 1)
    names = [f"#{code:06x}" if colours else str(code) for code in known.tolist()]
    return LabelPairs(to_float(photos), classes.masked_fill(known[classes] != codes, -1), names)


def _known(codes: Tensor, colours: bool, labels: Path) -> Tensor:
    """Returns the codes of the classes, ascending.

    Raises:
        UserError: for a single class, or too many.
    """
    known = codes.unique()
    if not colours and len(known) > 2:
        known = known[known != UNKNOWN]
    if len(known) > MOST_CLASSES:
        raise UserError(f"labels={labels} has {len(known)} colours: give PNG files with one colour for each class.")
    if len(known) < 2:
        raise UserError(f"labels={labels} has a single class: give label maps with at least two.")
    return known


def _is_coloured(entry: Entry) -> bool:
    """Tells whether a label map has colours in place of class ids."""
    try:
        with open_zips([entry]) as zips, open_entry(zips, entry) as file:
            read_image(file, IDS)
    except NotLabelMapError:
        return True
    except Exception:  # ``_read`` says what is wrong with it
        return False
    return False


def _read(entries: list[Entry], domain: Domain, spec: ResizeSpec, label_maps: bool = False) -> Tensor:
    """Returns the middle parts of files, uint8 (N, C, H, W); label maps are never blended."""
    found = []
    with open_zips(entries) as zips:
        for entry in entries:
            pixels = _pixels(entry, domain, zips)
            part = part_of(pixels.shape[1], pixels.shape[2], spec.target_size)
            found.append(resize(part.of(pixels), spec.target_size, nearest=label_maps))
    return torch.stack(found)


def _pixels(entry: Entry, domain: Domain, zips: dict[Path, ZipFile]) -> Tensor:
    """Returns the pixels of a file, uint8 (C, H, W).

    Raises:
        UserError: if it cannot be read.
    """
    try:
        with open_entry(zips, entry) as file:
            return read_image(file, domain).pixels
    except NotLabelMapError as problem:
        raise UserError(f"{entry.name} is {problem}, unlike the first label map: give all of one kind.") from None
    except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
        raise UserError(f"{entry.name} cannot be read ({reason(problem)}): take it out of its folder.") from None
