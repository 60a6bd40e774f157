"""Exact tiling: an image goes through a network strip by strip, with the same result as at once, in less memory.

Instance norm needs statistics of the whole image. Tiles that are normalised each by their own statistics differ in
colour however far they overlap, so here every layer passes over the whole image before the next begins. Between two
layers a map is stored in memory or on disk, before its norm; norm and activation are applied whenever rows are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from gan_lab.common.progress import track
from gan_lab.inference.tiling.maps import Emit, Map, MapFactory, Rows
from gan_lab.inference.tiling.parts import Function, Norm, Part, Pointwise, Skip, Window


@dataclass
class ChannelStatistics:
    """Mean and variance (C,) of every channel, accumulated in float64 (Chan, Golub and LeVeque 1983)."""

    count: int = 0
    mean: Tensor = field(default_factory=partial(torch.zeros, (), dtype=torch.float64))
    squares: Tensor = field(default_factory=partial(torch.zeros, (), dtype=torch.float64))

    def add(self, x: Tensor) -> None:
        """Adds rows or a tile, (1, C, H, W)."""
        variance, mean = (each.cpu().double() for each in torch.var_mean(x, (0, 2, 3), correction=0))
        count = x.numel() // x.shape[1]
        total, difference = self.count + count, mean - self.mean
        self.squares = self.squares + variance * count + difference.square() * (self.count * count / total)
        self.mean = self.mean + difference * (count / total)
        self.count = total

    @property
    def variance(self) -> Tensor:
        return self.squares / self.count

    def normaliser(self, norm: Norm, device: torch.device) -> Function:
        """Returns the norm's function under these statistics."""
        return norm.with_statistics(self.mean.to(device, torch.float32), self.variance.to(device, torch.float32))


@dataclass(frozen=True)
class LazyMap:
    """A stored map and the functions that are still to be applied to rows read from it.

    Args:
        rows: the stored map.
        device: device that computes the functions.
        pending: functions of rows, in the order of application.
        statistics: statistics of the stored map, if they were taken.
        owned: whether the next part may close the map.
    """

    rows: Rows
    device: torch.device
    pending: tuple[Function, ...] = ()
    statistics: ChannelStatistics | None = None
    owned: bool = False

    def read(self, start: int, stop: int) -> Tensor:
        x = self.rows.read(start, stop).to(self.device)
        for function in self.pending:
            x = function(x)
        return x

    def then(self, function: Function) -> "LazyMap":
        return replace(self, pending=(*self.pending, function))

    def close(self) -> None:
        if self.owned:
            self.rows.close()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ExactTiling:
    """Runs images through the parts of a network, one pass over the image for each layer.

    Example: ``ExactTiling(InMemory, 2**20).run(decompose(network.eval()), image, emit, device)``

    Args:
        make_map: creates the maps between layers.
        numbers: float32 numbers of a map that are processed at a time; at least one row is.
    """

    make_map: MapFactory
    numbers: int

    @torch.no_grad()
    def run(self, parts: Sequence[Part], image: Rows, emit: Emit, device: torch.device) -> None:
        """Runs the image through the parts. At most two maps, and a residual block's input, exist at a time.

        Args:
            parts: the network's parts, from ``decompose``.
            image: the image by rows.
            emit: receives the result by rows, from the top down.
            device: device that computes.
        """
        x = LazyMap(image, device)
        for part in track(parts, "Layers", len(parts)):
            x = self._apply(part, x)
        for start, stop in _strips(x.rows.height, self.numbers // (x.rows.channels * x.rows.width)):
            emit(start, x.read(start, stop))
        x.close()

    def _apply(self, part: Part, x: LazyMap) -> LazyMap:
        if isinstance(part, Pointwise):
            return x.then(part.run)
        if isinstance(part, Window):
            return self._window(part, x)
        if isinstance(part, Skip):
            return self._skip(part, x)
        if x.pending or x.statistics is None:
            x = self._window(Window(lambda rows: rows), x)
        return x.then((x.statistics or ChannelStatistics()).normaliser(part, x.device))

    def _window(self, part: Window, x: LazyMap) -> LazyMap:
        rows, height, statistics = x.rows, part.height(x.rows.height), ChannelStatistics()
        numbers = (rows.channels * rows.width / part.scale) + (part.channels or rows.channels) * rows.width * part.scale
        output: Map | None = None
        for start, stop in _strips(height, int(self.numbers / numbers)):
            first, last = part.input_rows(start, stop, rows.height)
            result = part.output_rows(_padded(x, part, first, last), start, stop, first)
            output = output or self.make_map(result.shape[1], height, result.shape[3])
            output.write(start, result)
            statistics.add(result)
        x.close()
        return LazyMap(output or rows, x.device, statistics=statistics, owned=True)

    def _skip(self, part: Skip, x: LazyMap) -> LazyMap:
        """Adds the branch's result to its input; the sum overwrites the branch's map."""
        branch, statistics = replace(x, owned=False), ChannelStatistics()
        for inner in part.parts:
            branch = self._apply(inner, branch)
        output: Map = branch.rows  # type: ignore[assignment]
        for start, stop in _strips(output.height, self.numbers // (2 * output.channels * output.width)):
            result = branch.read(start, stop).add_(x.read(start, stop))
            output.write(start, result)
            statistics.add(result)
        x.close()
        return replace(branch, pending=(), statistics=statistics)


def _strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yields start and stop of strips of ``rows`` rows, of at least one."""
    rows = max(1, rows)
    return ((start, min(start + rows, height)) for start in range(0, height, rows))


def _padded(x: LazyMap, part: Window, first: int, last: int) -> Tensor:
    """Returns padded rows first … last - 1 of the input; only the image's true edges are padded."""
    left, right, top, _ = part.pad
    wanted = range(first - top, last - top)
    height, mirror = x.rows.height, part.mode == "reflect"
    inside = [_reflected(row, height) if mirror else min(max(row, 0), height - 1) for row in wanted]
    start, stop = min(inside), max(inside) + 1
    rows = x.read(start, stop)
    if inside != list(range(start, stop)):
        rows = rows[:, :, [row - start for row in inside]]
    if part.mode == "zeros" and (outside := [i for i, row in enumerate(wanted) if not 0 <= row < height]):
        rows[:, :, outside] = 0
    sides = (left, right, 0, 0)
    return pad(rows, sides, mode="constant" if part.mode == "zeros" else part.mode) if left or right else rows


def _reflected(row: int, height: int) -> int:
    """Maps a row outside the image to the one inside that a reflection at the first or last row puts there."""
    return height - 1 - abs(height - 1 - abs(row))
