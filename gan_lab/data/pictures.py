"""What every set of pictures is to the cache and the data module: pictures that can be counted and rendered in a frame.

Shapes are written with N pictures, C channels, H height, W width.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gan_lab.types import UserError

Bytes = NDArray[np.uint8]
Indices = NDArray[np.int64]

MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Frame:
    """The fixed part of the transform: what a picture is before random crops and flips.

    Args:
        size: (H, W) of the pictures that the module gives.
        box: (H, W) that is kept; larger than ``size`` where a random crop needs room.
        channels: 1 (grey) or 3 (RGB) for pictures that must be converted.
    """

    size: tuple[int, int]
    box: tuple[int, int]
    channels: int

    def fit(self, image: Image.Image) -> Bytes:
        """An 8-bit image without alpha → (C, *box): scaled to cover the box (antialiased bicubic), cut at the centre.

        Raises:
            UserError: if ``channels`` is neither 1 nor 3.
        """
        if self.channels not in MODES:
            raise UserError(f"data.channels={self.channels} does not serve: pictures are grey (1) or RGB (3).")
        height, width = self.box
        mode = MODES[self.channels]
        image = image if image.mode == "L" else image.convert(mode)  # grey is scaled as grey, in a third of the time
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        pixels = np.asarray(image.convert(mode))
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)

    def centre(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The central ``size`` of pixels (..., *box), as a view."""
        (height, width), (box_height, box_width) = self.size, self.box
        top, left = (box_height - height) // 2, (box_width - width) // 2
        return pixels[..., top : top + height, left : left + width]


@dataclass
class Scan:
    """What was found while pictures were rendered.

    Args:
        sizes, modes: how many readable pictures have that "width×height" and that PIL mode (``I;16``: 16-bit grey).
        unreadable: names, each with the reason.
        rows: indices of the readable pictures, in order.
        transform: how they came to their size, in words.
    """

    sizes: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    transform: str = ""

    def see(self, row: int, width: int, height: int, mode: str) -> None:
        self.sizes[f"{width}×{height}"] += 1
        self.modes[mode] += 1
        self.rows.append(row)

    def summary(self) -> str:
        """One line: count, sizes, modes, and how many were skipped."""
        by_area = sorted(self.sizes, key=lambda size: int(np.prod([int(side) for side in size.split("×")])))
        (common, times), smallest, largest = self.sizes.most_common(1)[0], by_area[0], by_area[-1]
        sizes = common if len(by_area) == 1 else f"{smallest} to {largest}, most often {common} ({times:,})"
        modes = ", ".join(f"{mode} {count:,}" for mode, count in self.modes.most_common())
        skipped = f"; {len(self.unreadable)} unreadable skipped" if self.unreadable else ""
        return f"{len(self.rows):,} pictures, {sizes}, {modes}{skipped}"

    def unread(self, most: int) -> str:
        """The first unreadable files with the reasons, and how many more there are."""
        names = [f"{name} ({reason})" for name, reason in self.unreadable.items()]
        return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

    def plain(self) -> dict[str, Any]:
        return {**vars(self)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Scan":
        return cls(**{**plain, "sizes": Counter(plain["sizes"]), "modes": Counter(plain["modes"])})


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

    def render(self, frame: Frame, out: Bytes) -> Scan:
        """Writes every readable picture into its row of ``out`` (N, C, *box)."""


class Source(Protocol):
    """Where pictures come from."""

    def splits(self) -> dict[str, Pictures]:
        """``{"train": …, "test": …}``, or ``{"all": …}`` where the set has no split of its own.

        Fetches what is missing.

        Raises:
            UserError: if there are no pictures, and where they could come from.
        """
