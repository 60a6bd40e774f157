"""Edge maps of images, by Canny's detector."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage, ImageSet
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.threads import map_in_threads
from gan_lab.data.types import Int64Array, UInt8Array

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Neighbours (rows down, columns right) in the direction of a gradient, in steps of 45°."""


def canny(grey: UInt8Array, sigma: float = 1.4, low: float = 40.0, high: float = 100.0) -> Mask:
    """Detects the edges of a grey image, one pixel wide.

    Smooths with a Gaussian, computes Sobel gradients, keeps the maxima across each edge, and of those above ``low`` the
    connected pieces that exceed ``high`` somewhere.

    Source: Canny, A Computational Approach to Edge Detection, PAMI 1986.

    Args:
        grey: uint8 (H, W).
        sigma: of the smoothing, in pixels.
        low, high: thresholds of the gradient's magnitude in Sobel's units: four times the difference of the
            pixels on both sides.

    Returns:
        bool (H, W).
    """
    x, y = _sobel(_smooth(_smooth(grey.astype(np.float32), sigma).T, sigma).T)
    magnitude = np.hypot(x, y)
    candidates = _thinned(magnitude, x, y) & (magnitude > low)
    return _connected(candidates & (magnitude > high), candidates)


def _smooth(image: Floats, sigma: float) -> Floats:
    """Filters each row with a Gaussian."""
    radius = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    wide = np.pad(image, ((0, 0), (radius, radius)), mode="edge")
    smooth = np.zeros_like(image)
    for start, tap in enumerate(taps / taps.sum()):
        smooth += tap * wide[:, start : start + image.shape[1]]
    return smooth


def _sobel(image: Floats) -> tuple[Floats, Floats]:
    """Returns the derivatives to the right and downwards."""
    wide = np.pad(image, 1, mode="edge")
    columns = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    rows = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return columns[:, 2:] - columns[:, :-2], rows[2:] - rows[:-2]


def _thinned(magnitude: Floats, x: Floats, y: Floats) -> Mask:
    """Keeps pixels of maximal magnitude in the direction of the gradient; the first of two equal neighbours."""
    height, width = magnitude.shape
    sector = np.rint(np.arctan2(y, x) / (np.pi / 4)).astype(np.int8) % 4
    wide, highest = np.pad(magnitude, 1), np.zeros(magnitude.shape, bool)
    for number, (down, right) in enumerate(NEIGHBOURS):
        after = wide[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        before = wide[1 - down : 1 - down + height, 1 - right : 1 - right + width]
        highest |= (sector == number) & (magnitude >= after) & (magnitude > before)
    return highest


def _connected(seeds: Mask, candidates: Mask) -> Mask:
    """Keeps the candidates that a chain of neighbours connects to a seed."""
    left, width = np.pad(candidates, 1), candidates.shape[1] + 2
    waiting, steps = left.ravel(), np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    reached = np.flatnonzero(np.pad(seeds, 1))
    while reached.size:
        waiting[reached] = False
        near = (reached[:, None] + steps).ravel()
        reached = np.unique(near[waiting[near]])
    return candidates & ~left[1:-1, 1:-1]


@dataclass
class EdgeMaps:
    """Edge maps of other images, black on white, computed at the size of the spec (satisfies ``ImageSet``).

    Args:
        images: the other images.
        sigma, low, high: see ``canny``.
    """

    images: ImageSet
    sigma: float
    low: float
    high: float
    labels: Int64Array | None = None
    classes: int = 0
    cacheable: bool = True

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Int64Array) -> "EdgeMaps":
        return replace(self, images=self.images.take(rows))

    def content_hash(self, cache_folder: Path) -> str:
        return f"edges 1 {self.sigma} {self.low} {self.high} of {self.images.content_hash(cache_folder)}"

    def describe_transform(self, spec: ResizeSpec) -> str:
        return f"edges, after {self.images.describe_transform(spec)}"

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage | DamagedImage]:
        """Yields the edge map of every image, the same in each channel of the spec."""
        return map_in_threads(partial(self._edges, spec.channels), self.images.render(replace(spec, channels=1)))

    def _edges(self, channels: int, image: DecodedImage | DamagedImage) -> DecodedImage | DamagedImage:
        if isinstance(image, DamagedImage):
            return image
        edges = canny(image.pixels[0], self.sigma, self.low, self.high)
        return image._replace(pixels=np.where(edges, 0, 255).astype(np.uint8)[None].repeat(channels, 0))
