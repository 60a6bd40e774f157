"""What every set of pictures is to the cache and the data module: pictures that can be counted and rendered in a frame.

Shapes are written with N pictures, C channels, H height, W width.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gan_lab.common.errors import UserError

Bytes = NDArray[np.uint8]
Indices = NDArray[np.int64]

MODES = {1: "L", 3: "RGB"}
GRAIN = 4
"""Whole pictures of varying size have sides that are multiples of it, as in pix2pix and CycleGAN."""
REMARKS = 3
"""Kinds of remarks in a summary at most, the most frequent ones."""
WORDS = {
    "cover": "to cover",
    "stretch": "without regard to proportions",
    "width": "by the width",
    "shortside": "by the shorter side",
    "keep": "only where the size demands it",
}


class Decoded(NamedTuple):
    """One picture in its frame: pixels uint8 (C, H, W), its size and PIL mode as stored, and remarks on reading it."""

    pixels: Bytes
    width: int
    height: int
    mode: str
    notes: tuple[str, ...] = ()


class Damaged(NamedTuple):
    """One picture that cannot be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Frame:
    """The fixed part of the transform: what a picture is before random crops and flips.

    Args:
        size: (H, W) of the part that the module gives; None gives the whole picture, its sides as ``how`` makes them.
        box: (H, W) that pictures are scaled to; larger than ``size`` where a random crop needs room.
        channels: 1 (grey) or 3 (RGB) for pictures that must be converted.
        how: a picture comes to the box: "cover", cut at the centre; "stretch", without its proportions; "width" and
            "shortside", in its proportions by that side alone; "keep", not at all.
        ids: pixels are class ids: scaled by nearest neighbour, never blended.
        half: "left" or "right" of the picture alone.
    """

    size: tuple[int, int] | None
    box: tuple[int, int]
    channels: int
    how: str = "cover"
    ids: bool = False
    half: str | None = None

    @property
    def fixed(self) -> bool:
        """Whether all pictures become equal in size, whatever theirs is."""
        return self.how in ("cover", "stretch")

    def scaled(self, height: int, width: int) -> tuple[int, int]:
        """(H, W) that a picture of that size is brought to: multiples of 4 unless it is cut, and room for the cut."""
        if self.fixed:
            return self.box
        by = {"width": self.box[1] / width, "shortside": min(self.box) / min(height, width), "keep": 1.0}[self.how]
        if self.size is None:
            return max(GRAIN, GRAIN * round(height * by / GRAIN)), max(GRAIN, GRAIN * round(width * by / GRAIN))
        by = max(by, self.size[0] / height, self.size[1] / width)
        return max(self.size[0], round(height * by)), max(self.size[1], round(width * by))

    def fit(self, image: Image.Image) -> Bytes:
        """An 8-bit image without alpha, or ids in mode L → (C, H, W) at ``scaled``, pictures by antialiased bicubic.

        Raises:
            UserError: if ``channels`` is neither 1 nor 3.
        """
        if self.channels not in MODES:
            raise UserError(f"data.channels={self.channels} does not serve: pictures are grey (1) or RGB (3).")
        mode = MODES[self.channels]
        image = image if image.mode == "L" else image.convert(mode)  # grey is scaled as grey, in a third of the time
        height, width = self.scaled(image.height, image.width)
        method = Image.Resampling.NEAREST if self.ids else Image.Resampling.BICUBIC
        resize = ImageOps.fit if self.how == "cover" else Image.Image.resize
        pixels = np.asarray(resize(image, (width, height), method).convert(mode))
        return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))

    def centre(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The central ``size`` of pixels (..., H, W), as a view; all of them without one."""
        if self.size is None:
            return pixels
        (height, width), (box_height, box_width) = self.size, pixels.shape[-2:]
        top, left = (box_height - height) // 2, (box_width - width) // 2
        return pixels[..., top : top + height, left : left + width]

    @property
    def method(self) -> str:
        """How pictures are scaled, in words."""
        return f"{'nearest neighbour' if self.ids else 'antialiased bicubic'} {WORDS[self.how]}"

    @property
    def goal(self) -> str:
        """What size they come to, in words."""
        height, width = self.box
        named = {"keep": "their own size", "width": f"width {width}", "shortside": f"{min(self.box)} px"}
        whole = named.get(self.how, f"{width}×{height}")
        if self.size is None or (self.fixed and self.size == self.box):
            return f"to {whole}"
        return f"to {self.size[1]}×{self.size[0]}, random crop from {whole}"


@dataclass
class Scan:
    """What was found while pictures were rendered.

    Args:
        sizes, modes: how many readable pictures have that "width×height" and that PIL mode (``I;16``: 16-bit grey).
        unreadable: names, each with the reason.
        rows: indices of the readable pictures, in order.
        notes: remarks on reading them, each with the number of images it holds for.
        transform: how they came to their size, in words.
    """

    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    transform: str = ""
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, row: int, found: Decoded) -> None:
        """Counts a readable image."""
        self.sizes[f"{found.width}×{found.height}"] += 1
        self.modes[found.mode] += 1
        self.notes.update(found.notes)
        self.rows.append(row)

    def summary(self) -> str:
        """One line: count, sizes, modes, remarks, and how many were skipped."""
        by_area = sorted(self.sizes, key=lambda size: int(np.prod([int(side) for side in size.split("×")])))
        (common, times), smallest, largest = self.sizes.most_common(1)[0], by_area[0], by_area[-1]
        sizes = common if len(by_area) == 1 else f"{smallest} to {largest}, most often {common} ({times:,})"
        modes = ", ".join(f"{mode} {count:,}" for mode, count in self.modes.most_common())
        skipped = f"; {len(self.unreadable)} unreadable skipped" if self.unreadable else ""
        remarks = "".join(f"; {note} ({count:,})" for note, count in self.notes.most_common(REMARKS))
        return f"{len(self.rows):,} pictures, {sizes}, {modes}{remarks}{skipped}"

    def unread(self, most: int) -> str:
        """The first unreadable files with the reasons, and how many more there are."""
        names = [f"{name} ({reason})" for name, reason in self.unreadable.items()]
        return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

    def plain(self) -> dict[str, Any]:
        return {**vars(self)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Scan":
        return cls(**{**plain, **{key: Counter(plain[key]) for key in ("sizes", "modes", "notes")}})


class Pictures(Protocol):
    """Pictures that are not rendered yet.

    ``classes`` is the number of classes, 0 where there are no labels; ``labels`` are int64 (N,) in [0, classes) then.
    ``costly`` says that rendering is worth keeping on disk.
    """

    classes: int
    labels: Indices | None
    costly: bool

    def __len__(self) -> int: ...

    def take(self, rows: Indices) -> "Pictures":
        """These rows alone."""

    def content(self, memory: Path) -> str:
        """A hash of everything that rendering depends on; ``memory`` is a folder for what is slow to find again."""

    def transform(self, frame: Frame) -> str:
        """How pictures come into that frame, in words."""

    def render(self, frame: Frame) -> Iterator[Decoded | Damaged]:
        """Every picture in its frame, in order."""


class Source(Protocol):
    """Where pictures come from."""

    def splits(self) -> dict[str, Pictures]:
        """``{"train": …, "test": …}``, or ``{"all": …}`` where the set has no split of its own.

        Fetches what is missing.

        Raises:
            UserError: if there are no pictures, and where they could come from.
        """


class TwoSided(Protocol):
    """Where the pictures of two domains come from."""

    def sides(self) -> Mapping[str, Mapping[str, Pictures]]:
        """Splits as a ``Source`` gives them, of "a" and of "b". Of pairs, row i of both belongs together.

        Fetches what is missing.

        Raises:
            UserError: if there are no pictures, and where they could come from.
        """
