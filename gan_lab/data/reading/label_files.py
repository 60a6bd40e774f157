"""Label maps in files, and maps of the objects that their pixels belong to.

Pixels of a label map with objects are uint8 (2, H, W): class ids, and numbers of objects.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from gan_lab.common.class_names import listed
from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.reading.files import ImageFiles, render_file
from gan_lab.data.reading.formats import upright_size
from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage
from gan_lab.data.reading.images import NotLabelMapError, check_label_map, decode_image, reason
from gan_lab.data.reading.listing import Entry, open_entry, open_zips
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.threads import map_in_threads
from gan_lab.data.types import Int64Array, UInt8Array

LENGTH = 8
"""Bytes, at the end of two joined files, that have the length of the first."""

Files = tuple[Entry, Entry | None, Entry | None]
"""A label map, its photograph, and its map of objects."""


@dataclass
class LabelFiles(ImageFiles):
    """Label maps in files (satisfies ``ImageSet``).

    Args:
        photos: the photograph of each, which has the same size; empty if there are none.
        objects: the map of objects of each; empty if there are none.
        expected: ids that they may have, those of pixels without a class included; empty allows all.
        key: the user's name for the domain, such as "data.domains.a".
    """

    photos: Sequence[Entry] = ()
    objects: Sequence[Entry] = ()
    expected: frozenset[int] = frozenset()
    key: str = ""

    def take(self, rows: Int64Array) -> "LabelFiles":
        photos, objects = ([files[row] for row in rows] if files else () for files in (self.photos, self.objects))
        return replace(self, entries=[self.entries[row] for row in rows], photos=photos, objects=objects)

    def content_hash(self, cache_folder: Path) -> str:
        """Returns a hash of names and bytes, and of the ids that are expected, which are checked as files are read."""
        parts = [ImageFiles(files).content_hash(cache_folder) for files in (self.entries, self.objects) if files]
        return " ".join([*parts, *map(str, sorted(self.expected))])

    def stamp(self) -> str:
        return ImageFiles([*self.entries, *self.objects]).stamp()

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage | DamagedImage]:
        """Yields every label map at the size of the spec, in order; damaged ones with the reason.

        Raises:
            UserError: naming the file, for colours, an id that is not expected, and another size than the photograph's.
        """
        with open_zips([*self.entries, *self.photos, *self.objects]) as zips:
            files = zip_longest(self.entries, self.photos, self.objects)
            results = map_in_threads(partial(self._render, zips, spec), files)
            show = getattr(rank_zero_only, "rank", 0) == 0
            yield from track(results, "Reading label maps", len(self), show=show)

    def _render(self, zips: Mapping[Path, ZipFile], spec: ResizeSpec, files: Files) -> DecodedImage | DamagedImage:
        entry, photo, objects = files
        found = render_file(zips, replace(spec, channels=1), entry)
        if isinstance(found, DamagedImage):
            return found
        self._check_ids(entry, found.pixels)
        if photo is not None:
            _check_photo(zips, entry, found, photo)
        return found if objects is None else _with_objects(zips, spec, entry, found, objects)

    def _check_ids(self, entry: Entry, pixels: UInt8Array) -> None:
        foreign = sorted(set(np.unique(pixels).tolist()) - self.expected) if self.expected else []
        if foreign:
            ids = f"the id{'s' * (len(foreign) > 1)} {listed([*map(str, foreign)])}"
            raise UserError(
                f"{place(entry)} has {ids}, which belong to none of the classes: give {self.key}.labels=… that covers "
                f"all, or {self.key}.ids=[…] with the id of each class."
            )

    def contents(self) -> Iterator[bytes]:
        """Yields the bytes of every label map, in order, joined with those of its map of objects."""
        if not self.objects:
            yield from super().contents()
            return
        objects = ImageFiles(self.objects).contents()
        for first, second in zip(super().contents(), objects, strict=True):
            yield first + second + len(first).to_bytes(LENGTH, "little")


def decode_content(content: bytes, spec: ResizeSpec) -> UInt8Array:
    """Returns the pixels (C, H, W) of an image file, or of a label map that is joined with its map of objects.

    Args:
        content: what ``contents`` of a set of files yields.
        spec: size and channels; 2 for a label map with objects.
    """
    if spec.channels != 2:
        return decode_image(BytesIO(content), spec).pixels
    length, single = int.from_bytes(content[-LENGTH:], "little"), replace(spec, channels=1)
    labels = decode_image(BytesIO(content[:length]), single).pixels
    return np.concatenate([labels, single.apply(object_numbers(BytesIO(content[length:-LENGTH])))])


def object_numbers(file: BinaryIO) -> Image.Image:
    """Reads a map of objects of 8 or 16 bits: the order of its numbers, modulo 256, in mode L.

    Two objects that touch have different numbers in 8 bits, unless 256 others lie between their numbers.

    Raises:
        NotLabelMapError: for colours.
        OSError, ValueError, …: for a file that cannot be read.
    """
    with Image.open(file) as image:
        check_label_map(image)
        numbers = np.asarray(image)
        order = np.unique(numbers, return_inverse=True)[1].reshape(numbers.shape)
    return Image.fromarray((order % 256).astype(np.uint8))


def place(entry: Entry) -> str:
    """Returns where a file lies, for messages."""
    return str(entry.file) if entry.member is None else f"{entry.path}/{entry.member}"


def _check_photo(zips: Mapping[Path, ZipFile], entry: Entry, found: DecodedImage, photo: Entry) -> None:
    """Raises UserError unless a label map has the size of its photograph; one that cannot be read is reported later."""
    try:
        with open_entry(zips, photo) as file:
            height, width = upright_size(file)
    except Exception:  # decoders raise many kinds of exceptions for damaged files
        return
    _check_size(entry, found, photo, (width, height))


def _check_size(entry: Entry, found: DecodedImage, other: Entry, size: tuple[int, int]) -> None:
    if (found.width, found.height) != size:
        raise UserError(
            f"{place(entry)} has {found.width}×{found.height} px, but {place(other)} has {size[0]}×{size[1]}: give "
            "files of one size."
        )


def _with_objects(
    zips: Mapping[Path, ZipFile], spec: ResizeSpec, entry: Entry, found: DecodedImage, objects: Entry
) -> DecodedImage | DamagedImage:
    try:
        with open_entry(zips, objects) as file:
            numbers = object_numbers(file)
    except NotLabelMapError as problem:
        raise UserError(
            f"{place(objects)} is {problem} and no map of objects: give PNG files with one number per pixel."
        ) from None
    except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
        return DamagedImage(objects.name, reason(problem))
    _check_size(entry, found, objects, numbers.size)
    return found._replace(pixels=np.concatenate([found.pixels, replace(spec, channels=1).apply(numbers)]))
