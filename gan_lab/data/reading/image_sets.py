"""Interfaces of image sets and of the sources they come from, and what is known of images that were read.

Shapes are written with N images, C channels, H height, W width.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gan_lab.common.wording import counted
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array

REMARKS = 3
"""Number of remarks in a summary, the most frequent ones."""


class DecodedImage(NamedTuple):
    """An image at the size of a spec.

    Args:
        pixels: uint8 (C, H, W).
        width, height, mode: size and Pillow mode as stored.
        notes: remarks on reading it.
    """

    pixels: UInt8Array
    width: int
    height: int
    mode: str
    notes: tuple[str, ...] = ()


def remarks(notes: Counter[str]) -> str:
    """Returns the most frequent notes with their counts, each behind a semicolon, for the end of a summary."""
    return "".join(f"; {note} ({count:,})" for note, count in notes.most_common(REMARKS))


class DamagedImage(NamedTuple):
    """An image that cannot be read, and the reason."""

    name: str
    reason: str


@dataclass
class Scan:
    """Facts about the images of a set, found while they were rendered.

    Args:
        sizes, modes: number of readable images by "width×height" and by Pillow mode (``I;16`` is 16-bit grey).
        unreadable: names of the other images, each with the reason.
        rows: indices of the readable images, in order.
        transform: how images got their size, in words.
        notes: remarks on reading, each with the number of images that it applies to.
    """

    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    transform: str = ""
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, row: int, image: DecodedImage) -> None:
        """Counts a readable image."""
        self.sizes[f"{image.width}×{image.height}"] += 1
        self.modes[image.mode] += 1
        self.notes.update(image.notes)
        self.rows.append(row)

    def extend(self, later: "Scan") -> None:
        """Adds what was found in the images that follow."""
        for mine, its in ((self.sizes, later.sizes), (self.modes, later.modes), (self.notes, later.notes)):
            mine.update(its)
        self.unreadable |= later.unreadable
        self.rows += later.rows

    def summary(self) -> str:
        """Returns one line: number of images, sizes, modes, remarks, and how many were skipped."""
        by_area = sorted(self.sizes, key=_area)
        (common, times), smallest, largest = self.sizes.most_common(1)[0], by_area[0], by_area[-1]
        sizes = common if len(by_area) == 1 else f"{smallest} to {largest}, most often {common} ({times:,})"
        modes = ", ".join(f"{mode} {count:,}" for mode, count in self.modes.most_common())
        skipped = f"; {len(self.unreadable)} unreadable skipped" if self.unreadable else ""
        return f"{counted(len(self.rows), 'image')}, {sizes}, {modes}{remarks(self.notes)}{skipped}"

    def list_unreadable(self, limit: int) -> str:
        """Returns the first unreadable files with the reasons, and how many more there are."""
        names = [f"{name} ({reason})" for name, reason in self.unreadable.items()]
        return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")

    def to_dict(self) -> dict[str, object]:
        """Returns plain containers, for a JSON file."""
        return {**vars(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Scan":
        """Builds a scan from what ``to_dict`` gave."""
        return cls(**{**plain, **{key: Counter(plain[key]) for key in ("sizes", "modes", "notes")}})


def _area(size: str) -> int:
    width, height = map(int, size.split("×"))
    return width * height


class ImageSet(Protocol):
    """Images that can be counted, selected, and rendered at the size of a spec.

    Attributes:
        classes: number of classes; 0 if there are no labels.
        labels: int64 (N,) in [0, classes), -1 for an image without a class; or None.
        cacheable: rendering is slow enough that its result is worth keeping on disk.
    """

    classes: int
    labels: Int64Array | None
    cacheable: bool

    def __len__(self) -> int: ...

    def take(self, rows: Int64Array) -> "ImageSet":
        """Returns the set of these rows."""

    def content_hash(self, cache_folder: Path) -> str:
        """Returns a hash of everything that rendering depends on.

        Args:
            cache_folder: where an implementation may keep hashes that are slow to compute.
        """

    def describe_transform(self, spec: ResizeSpec) -> str:
        """Says how images get the size of the spec."""

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage | DamagedImage]:
        """Yields every image at the size of the spec, in order."""


@runtime_checkable
class EncodedImages(ImageSet, Protocol):
    """Images that are stored as the bytes of their files.

    Attributes:
        half: "left" or "right" reads that half of each image alone.
        num_jpegs: the number of JPEGs.
    """

    half: str | None

    @property
    def num_jpegs(self) -> int: ...

    def contents(self) -> Iterator[bytes]:
        """Yields the bytes of every image's file, in order; none of what cannot be opened."""

    def stamp(self) -> str:
        """Returns a hash that changes whenever a file does, without reading any."""


class ImageSource(Protocol):
    """A place that images come from."""

    def splits(self) -> Mapping[str, ImageSet]:
        """Returns the sets "train" and "test", or "all" if the source has no split of its own.

        Downloads what is missing.

        Raises:
            UserError: if there are no images; it says where they could come from.
        """


class TwoDomainSource(Protocol):
    """A place that the images of two domains come from."""

    def domain_splits(self) -> Mapping[str, Mapping[str, ImageSet]]:
        """Returns the splits of domains "a" and "b", as an ``ImageSource`` gives them. Row i of both makes a pair.

        Downloads what is missing.

        Raises:
            UserError: if there are no images; it says where they could come from.
        """


def class_names(images: ImageSet) -> list[str]:
    """Returns the names of a set's classes, in the order of their numbers; empty if they have none."""
    return list(getattr(images, "class_names", ()))
