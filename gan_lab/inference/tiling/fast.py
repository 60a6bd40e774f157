"""Fast tiling: independent tiles, normalised by statistics of a downscaled image; close to exact tiling, not equal.

Fast tiling stores no maps and needs one pass over the image. The surroundings of each tile are computed again for the
tile; with tiles of 512 pixels and nine residual blocks this takes almost as much work as the tile itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor

from gan_lab.common.images import round_up
from gan_lab.common.progress import track
from gan_lab.inference.tiling.exact import ChannelStatistics
from gan_lab.inference.tiling.maps import Crop
from gan_lab.inference.tiling.parts import Norm, Part, Pointwise, Skip, halo

Normalise = Callable[[Norm, Tensor], Tensor]
Put = Callable[[int, int, Tensor], None]
"""Receives the top and left of a tile of the result, and the tile (1, C, H, W)."""


@dataclass(frozen=True)
class ErrorEstimate:
    """Estimate of the difference from exact tiling, taken without computing the exact result.

    While the tiles are computed, every norm's true statistics are accumulated; if they were equal to the assumed ones,
    the result would be exact. The downscaled image is translated under both, and the outputs are compared.

    Args:
        mean: mean absolute difference of the pixels, where 2 is the range from black to white.
        largest: largest absolute difference, on the same scale.
    """

    mean: float
    largest: float

    def __str__(self) -> str:
        mean, largest = 127.5 * self.mean, 127.5 * self.largest
        return f"about {mean:.1f} of 255 levels on average from exact, {largest:.0f} at most, by the downscaled image"


@torch.no_grad()
def fast_tiles(
    parts: Sequence[Part], small: Tensor, crop: Crop, put: Put, size: tuple[int, int], tile: int, multiple: int
) -> ErrorEstimate:
    """Runs an image through the parts by tiles, each with the surroundings that its pixels depend on.

    Args:
        parts: the network's parts, from ``decompose``; the output must have the image's size.
        small: the whole image downscaled, (1, C, h, w), which gives the statistics.
        crop: returns parts of the image.
        put: receives the tiles of the result.
        size: (H, W) of the image, multiples of ``multiple``.
        tile: side of the tiles without their surroundings.
        multiple: product of the network's strides: tiles begin at multiples of it.
    """
    assumed: list[ChannelStatistics] = []
    before = _run(parts, small.clone(), lambda norm, x: _normalise_and_record(assumed, norm, x))
    observed = [ChannelStatistics() for _ in assumed]
    step, reach = round_up(tile, multiple), round_up(halo(parts), multiple)
    corners = list(product(range(0, size[0], step), range(0, size[1], step)))
    for top, left in track(corners, "Tiles", len(corners)):
        spans = _span(top, step, reach, size[0]), _span(left, step, reach, size[1])
        x = crop(spans[0].start, spans[0].stop, spans[1].start, spans[1].stop)
        result = _run(parts, x, _normalise_by(assumed, partial(_observe, observed, spans)))
        put(top, left, _inner(result, spans))
    after = _run(parts, small.clone(), _normalise_by(observed))
    difference = (after - before).abs()
    return ErrorEstimate(float(difference.mean()), float(difference.max()))


def _run(parts: Sequence[Part], x: Tensor, normalise: Normalise) -> Tensor:
    """Runs an image or tile through the parts at once; ``normalise`` applies the norms."""
    for part in parts:
        if isinstance(part, Pointwise):
            x = part.run(x)
        elif isinstance(part, Skip):
            x = _run(part.parts, x, normalise).add_(x)
        elif isinstance(part, Norm):
            x = normalise(part, x)
        else:
            x = part.whole(x)
    return x


def _normalise_and_record(recorded: list[ChannelStatistics], norm: Norm, x: Tensor) -> Tensor:
    """Normalises by the input's own statistics, and records them."""
    recorded.append(ChannelStatistics())
    recorded[-1].add(x)
    return recorded[-1].normaliser(norm, x.device)(x)


def _normalise_by(
    statistics: Sequence[ChannelStatistics], observe: Callable[[int, Tensor], None] | None = None
) -> Normalise:
    """Returns a function that normalises by these statistics, one norm after the other.

    Args:
        statistics: one for each norm, in the order in which the norms are applied.
        observe: called with the number of each norm and its input.
    """
    numbers = iter(range(len(statistics)))

    def normalise(norm: Norm, x: Tensor) -> Tensor:
        number = next(numbers)
        if observe is not None:
            observe(number, x)
        return statistics[number].normaliser(norm, x.device)(x)

    return normalise


@dataclass(frozen=True)
class _Span:
    """Rows or columns of a tile with its surroundings, start … stop - 1, and of the tile alone, begin … end - 1."""

    start: int
    stop: int
    begin: int
    end: int

    def inner(self, length: int) -> slice:
        """Returns the tile alone as a slice of a map with ``length`` rows or columns."""
        scale = length / (self.stop - self.start)
        return slice(round((self.begin - self.start) * scale), round((self.end - self.start) * scale))


def _span(begin: int, step: int, reach: int, size: int) -> _Span:
    return _Span(max(0, begin - reach), min(size, begin + step + reach), begin, min(begin + step, size))


def _inner(x: Tensor, spans: tuple[_Span, _Span]) -> Tensor:
    return x[:, :, spans[0].inner(x.shape[2]), spans[1].inner(x.shape[3])]


def _observe(observed: Sequence[ChannelStatistics], spans: tuple[_Span, _Span], number: int, x: Tensor) -> None:
    observed[number].add(_inner(x, spans))
