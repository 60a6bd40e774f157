"""Edge maps of pictures: Canny's detector."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_lab.data.reading.pictures import Bytes, Damaged, Decoded, Frame, Indices, Pictures
from gan_lab.data.reading.threads import in_threads

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
ALONG = ((0, 1), (1, 1), (1, 0), (1, -1))
"""The neighbour (rows down, columns right) in the direction of a gradient, in steps of 45°."""


def canny(grey: Bytes, sigma: float = 1.4, low: float = 40.0, high: float = 100.0) -> Mask:
    """The edges of a grey picture, one pixel wide, bool (H, W).

    Gaussian smoothing, Sobel's gradient, thinning to the maxima across each edge, and of what exceeds ``low`` the
    connected pieces that somewhere exceed ``high``.

    Source: Canny, A Computational Approach to Edge Detection, PAMI 1986.

    Args:
        grey: uint8 (H, W).
        sigma: of the smoothing, in pixels.
        low, high: thresholds of the gradient's magnitude in Sobel's units: four times the difference of the
            pixels on both sides.
    """
    x, y = _sobel(_smooth(_smooth(grey.astype(np.float32), sigma).T, sigma).T)
    magnitude = np.hypot(x, y)
    candidates = _thinned(magnitude, x, y) & (magnitude > low)
    return _connected(candidates & (magnitude > high), candidates)


def _smooth(image: Floats, sigma: float) -> Floats:
    """Each row through a Gaussian filter."""
    reach = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).astype(np.float32)
    wide = np.pad(image, ((0, 0), (reach, reach)), mode="edge")
    smooth = np.zeros_like(image)
    for start, tap in enumerate(taps / taps.sum()):
        smooth += tap * wide[:, start : start + image.shape[1]]
    return smooth


def _sobel(image: Floats) -> tuple[Floats, Floats]:
    """Derivatives to the right and down."""
    wide = np.pad(image, 1, mode="edge")
    columns = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    rows = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return columns[:, 2:] - columns[:, :-2], rows[2:] - rows[:-2]


def _thinned(magnitude: Floats, x: Floats, y: Floats) -> Mask:
    """Where the magnitude is highest in the direction of the gradient; of two equal neighbours the first alone."""
    height, width = magnitude.shape
    sector = np.rint(np.arctan2(y, x) / (np.pi / 4)).astype(np.int8) % 4
    wide, highest = np.pad(magnitude, 1), np.zeros(magnitude.shape, bool)
    for number, (down, right) in enumerate(ALONG):
        after = wide[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        before = wide[1 - down : 1 - down + height, 1 - right : 1 - right + width]
        highest |= (sector == number) & (magnitude >= after) & (magnitude > before)
    return highest


def _connected(seeds: Mask, candidates: Mask) -> Mask:
    """The candidates that a chain of neighbours joins to a seed."""
    left, width = np.pad(candidates, 1), candidates.shape[1] + 2
    waiting, steps = left.ravel(), np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    reached = np.flatnonzero(np.pad(seeds, 1))
    while reached.size:
        waiting[reached] = False
        near = (reached[:, None] + steps).ravel()
        reached = np.unique(near[waiting[near]])
    return candidates & ~left[1:-1, 1:-1]


@dataclass
class Edges:
    """The edges of other pictures, black on white, drawn at the size of the frame (satisfies ``Pictures``).

    Args:
        pictures: the others.
        sigma, low, high: see ``canny``.
    """

    pictures: Pictures
    sigma: float
    low: float
    high: float
    labels: Indices | None = None
    classes: int = 0
    costly: bool = True

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, rows: Indices) -> "Edges":
        return replace(self, pictures=self.pictures.take(rows))

    def content(self, memory: Path) -> str:
        return f"edges 1 {self.sigma} {self.low} {self.high} of {self.pictures.content(memory)}"

    def transform(self, frame: Frame) -> str:
        return f"edges, after {self.pictures.transform(frame)}"

    def render(self, frame: Frame) -> Iterator[Decoded | Damaged]:
        """Edge maps in place of the pictures, in every channel of the frame."""
        return in_threads(partial(self._drawn, frame.channels), self.pictures.render(replace(frame, channels=1)))

    def _drawn(self, channels: int, found: Decoded | Damaged) -> Decoded | Damaged:
        if isinstance(found, Damaged):
            return found
        edges = canny(found.pixels[0], self.sigma, self.low, self.high)
        return found._replace(pixels=np.where(edges, 0, 255).astype(np.uint8)[None].repeat(channels, 0))
