"""Independent tiles under statistics that a downscaled picture gave: close to exact tiling, and not the same.

They need no room for whole maps, and one pass over the picture; but what is around each tile is computed again, with
tiles of 512 px and nine residual blocks almost as much as the tile itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor

from gan_lab.common.images import round_up
from gan_lab.common.progress import track
from gan_lab.inference.tiling.maps import Crop
from gan_lab.inference.tiling.parts import Norm, Part, Pointwise, Skip, halo
from gan_lab.inference.tiling.tiling import Statistics

Normalise = Callable[[Norm, Tensor], Tensor]
Put = Callable[[int, int, Tensor], None]
"""Takes a tile (1, C, H, W) of the result and the top and left at which it lies."""


@dataclass(frozen=True)
class Gap:
    """How far fixed statistics led from exact ones, as far as can be told without computing those.

    While the tiles pass, every norm's true statistics are taken beside those assumed; were they equal, the result would
    be exact. The downscaled picture is translated under both, and its pixels are compared.

    Args:
        mean, largest: difference of its pixels, where 2 is from black to white.
    """

    mean: float
    largest: float

    def __str__(self) -> str:
        mean, largest = 127.5 * self.mean, 127.5 * self.largest
        return f"about {mean:.1f} of 255 levels on average from exact, {largest:.0f} at most, by the downscaled picture"


@torch.no_grad()
def tiles(
    parts: Sequence[Part], small: Tensor, crop: Crop, put: Put, size: tuple[int, int], tile: int, multiple: int
) -> Gap:
    """A picture through the parts by tiles, each with as much around it as its pixels depend on.

    Args:
        parts: see ``take_apart``; their result is as large as the picture.
        small: the whole picture downscaled, (1, C, h, w), which the statistics are taken of.
        crop: gives parts of the picture.
        put: takes the tiles.
        size: (H, W) of the picture, multiples of ``multiple``.
        tile: side of the tiles, without what is around them.
        multiple: the network's strides together: tiles begin at multiples of it.
    """
    assumed: list[Statistics] = []
    before = _through(parts, small.clone(), lambda norm, x: _learning(assumed, norm, x))
    observed = [Statistics() for _ in assumed]
    step, reach = round_up(tile, multiple), round_up(halo(parts), multiple)
    places = list(product(range(0, size[0], step), range(0, size[1], step)))
    for top, left in track(places, "Tiles", len(places)):
        spans = _span(top, step, reach, size[0]), _span(left, step, reach, size[1])
        x = crop(spans[0].start, spans[0].stop, spans[1].start, spans[1].stop)
        result = _through(parts, x, _under(assumed, partial(_watch, observed, spans)))
        put(top, left, _inner(result, spans))
    after = _through(parts, small.clone(), _under(observed))
    difference = (after - before).abs()
    return Gap(float(difference.mean()), float(difference.max()))


def _through(parts: Sequence[Part], x: Tensor, normalise: Normalise) -> Tensor:
    """A picture or tile through the parts at once, ``normalise`` deciding by which statistics."""
    for part in parts:
        if isinstance(part, Pointwise):
            x = part.run(x)
        elif isinstance(part, Skip):
            x = _through(part.parts, x, normalise).add_(x)
        elif isinstance(part, Norm):
            x = normalise(part, x)
        else:
            x = part.whole(x)
    return x


def _learning(found: list[Statistics], norm: Norm, x: Tensor) -> Tensor:
    """Normalised by its own statistics, which are noted."""
    found.append(Statistics())
    found[-1].add(x)
    return found[-1].normaliser(norm, x.device)(x)


def _under(statistics: Sequence[Statistics], watch: Callable[[int, Tensor], None] | None = None) -> Normalise:
    """Normalises by these, one norm after the other; ``watch`` is shown what comes in."""
    numbers = iter(range(len(statistics)))

    def normalise(norm: Norm, x: Tensor) -> Tensor:
        number = next(numbers)
        if watch is not None:
            watch(number, x)
        return statistics[number].normaliser(norm, x.device)(x)

    return normalise


@dataclass(frozen=True)
class _Span:
    """Rows or columns: of the tile with what is around it, and of the tile alone."""

    start: int
    stop: int
    begin: int
    end: int

    def inner(self, length: int) -> slice:
        """The tile alone in a map of so many rows."""
        scale = length / (self.stop - self.start)
        return slice(round((self.begin - self.start) * scale), round((self.end - self.start) * scale))


def _span(begin: int, step: int, reach: int, size: int) -> _Span:
    return _Span(max(0, begin - reach), min(size, begin + step + reach), begin, min(begin + step, size))


def _inner(x: Tensor, spans: tuple[_Span, _Span]) -> Tensor:
    return x[:, :, spans[0].inner(x.shape[2]), spans[1].inner(x.shape[3])]


def _watch(observed: Sequence[Statistics], spans: tuple[_Span, _Span], number: int, x: Tensor) -> None:
    observed[number].add(_inner(x, spans))
