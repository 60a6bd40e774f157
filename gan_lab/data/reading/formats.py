"""Sizes and colours of the images of a set, found from the headers of their files without decoding them."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from gan_lab.common.atomic import atomic_write
from gan_lab.common.progress import track
from gan_lab.data.reading.exif import orientation
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.image_sets import EncodedImages
from gan_lab.data.reading.images import GREY_MODES
from gan_lab.data.reading.listing import Entry, open_entry, open_zips
from gan_lab.data.reading.threads import map_in_threads

Header = tuple[tuple[int, int], bool] | None
"""(H, W) of an image, and whether it is stored in grey; None for an image that cannot be read."""

UNKNOWN = (0, 0)
"""Stands for a size that is not known."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""


@dataclass
class Formats:
    """The formats of images.

    Args:
        sizes: number of images by (H, W), upright.
        grey: number of images that are stored in grey.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    grey: int = 0

    def __len__(self) -> int:
        """Returns the number of images with a readable header."""
        return self.sizes.total()

    def __add__(self, other: "Formats") -> "Formats":
        return Formats(self.sizes + other.sizes, self.grey + other.grey)

    @property
    def channels(self) -> int:
        """1 if all images are grey, else 3."""
        return 1 if self.grey == len(self) else 3

    @property
    def size(self) -> tuple[int, int] | None:
        """The (H, W) of all images, or None if they differ."""
        return next(iter(self.sizes)) if len(self.sizes) == 1 else None

    @property
    def usual_size(self) -> tuple[int, int]:
        """The most frequent (H, W); the largest of those that are equally frequent.

        Raises:
            ValueError: if there are no images.
        """
        return max(self.sizes, key=lambda size: (self.sizes[size], size[0] * size[1], size))

    @property
    def colours(self) -> str:
        """The colours, in words."""
        mixed = f"{self.grey:,} of them grey" if self.grey else "in colour"
        return "grey" if self.channels == 1 else mixed


def formats_of(images: EncodedImages, cache: Path | None = None) -> Formats:
    """Reads the headers of all images; those that cannot be read are left out.

    Args:
        images: the files; of halves, each is counted.
        cache: a folder that keeps the result for the next time; None keeps nothing.
    """
    known = cache / f"{images.stamp()}.formats" if cache else None
    found = _load(known) if known else None
    if found is None:
        found = _read(images)
        if known:
            _save(known, found)
    return _halved(found) if images.half else found


def common_size(formats: Iterable[Formats]) -> tuple[int, int] | None:
    """Returns the (H, W) of all images of several sets, or None if they differ or there are none."""
    sizes = {each.size for each in formats}
    return next(iter(sizes)) if len(sizes) == 1 else None


def _read(images: EncodedImages) -> Formats:
    found, show = Formats(), getattr(rank_zero_only, "rank", 0) == 0
    headers = _headers_of_files(images.entries) if isinstance(images, ImageFiles) else _headers(images.contents())
    for header in track(headers, "Reading headers", len(images), show=show):
        if header is not None:
            size, grey = header
            found.sizes[size] += 1
            found.grey += grey
    return found


def _headers_of_files(entries: Sequence[Entry]) -> Iterator[Header]:
    with open_zips(entries) as zips:
        yield from map_in_threads(lambda entry: _header(partial(open_entry, zips, entry)), entries)


def _headers(contents: Iterable[bytes]) -> Iterator[Header]:
    yield from map_in_threads(lambda content: _header(partial(BytesIO, content)), contents)


def _header(opened: Callable[[], BinaryIO]) -> Header:
    try:
        with opened() as file:
            return _format(file)
    except (
        Exception
    ):  # decoders raise many kinds of exceptions for damaged files, which are reported when they are read
        return None


def _format(file: BinaryIO) -> tuple[tuple[int, int], bool]:
    """Returns (H, W) of an image, and whether it is stored in grey."""
    with Image.open(file) as image:
        return _upright_size(image), image.mode in GREY_MODES


def upright_size(file: BinaryIO) -> tuple[int, int]:
    """Returns the (H, W) of an upright image, without decoding it."""
    with Image.open(file) as image:
        return _upright_size(image)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    width, height = image.size
    # The tags of some PNG files come after the pixels, which need not be decoded if the image is square.
    turned = width != height and orientation(image) in SIDEWAYS
    return (width, height) if turned else (height, width)


def _halved(formats: Formats) -> Formats:
    """The formats of the left or right halves."""
    sizes: Counter[tuple[int, int]] = Counter()
    for (height, width), count in formats.sizes.items():
        sizes[height, width // 2] += count
    return Formats(sizes, formats.grey)


def _load(path: Path) -> Formats | None:
    """Returns what was kept; None if there is nothing, or it is damaged."""
    try:
        digest, _, text = path.read_text().partition("\n")
        if digest != _digest(text):
            return None
        plain = json.loads(text)
        return Formats(Counter({(height, width): count for height, width, count in plain["sizes"]}), plain["grey"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(path: Path, formats: Formats) -> None:
    text = json.dumps({"sizes": [[*size, count] for size, count in formats.sizes.items()], "grey": formats.grey})
    try:
        with atomic_write(path, sync=False) as file:
            file.write_text(f"{_digest(text)}\n{text}")
    except OSError:  # it is read again the next time
        return


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
