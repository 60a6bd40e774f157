"""Whole pictures through a network strip by strip: the same result as at once, in a fraction of the memory.

Instance norm looks at the whole picture. Tiles that each take their own statistics differ in colour however wide they
overlap, so here every layer goes over the whole picture before the next begins. Between two layers a map lies in memory
or on disk, as it was before its norm; norm and activation are applied whenever rows of it are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from gan_lab.common.progress import track
from gan_lab.inference.tiling.maps import Emit, Make, Map, Rows
from gan_lab.inference.tiling.parts import Function, Norm, Part, Pointwise, Skip, Window


@dataclass
class Statistics:
    """Mean and variance (C,) of every map, added up in float64 (Chan, Golub and LeVeque 1983)."""

    count: int = 0
    mean: Tensor = field(default_factory=partial(torch.zeros, (), dtype=torch.float64))
    squares: Tensor = field(default_factory=partial(torch.zeros, (), dtype=torch.float64))

    def add(self, x: Tensor) -> None:
        """Takes in rows or a tile (1, C, H, W)."""
        variance, mean = (each.cpu().double() for each in torch.var_mean(x, (0, 2, 3), correction=0))
        count = x.numel() // x.shape[1]
        total, apart = self.count + count, mean - self.mean
        self.squares = self.squares + variance * count + apart.square() * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def variance(self) -> Tensor:
        return self.squares / self.count

    def normaliser(self, norm: Norm, device: torch.device) -> Function:
        """The norm under these statistics."""
        return norm.fixed(self.mean.to(device, torch.float32), self.variance.to(device, torch.float32))


@dataclass(frozen=True)
class Flow:
    """What flows from part to part: a stored map, and what is still to be done to the rows that are read of it.

    Args:
        rows: the map.
        device: where rows are computed with.
        pending: functions of rows, in their order.
        statistics: of the stored map, where they were taken.
        owned: whether the next part may do away with the map.
    """

    rows: Rows
    device: torch.device
    pending: tuple[Function, ...] = ()
    statistics: Statistics | None = None
    owned: bool = False

    def read(self, start: int, stop: int) -> Tensor:
        x = self.rows.read(start, stop).to(self.device)
        for function in self.pending:
            x = function(x)
        return x

    def then(self, function: Function) -> "Flow":
        return replace(self, pending=(*self.pending, function))

    def close(self) -> None:
        if self.owned:
            self.rows.close()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Passes:
    """Takes pictures through parts, one pass over the picture a layer.

    Args:
        make: where maps are kept.
        numbers: so many float32 numbers of a map are worked on at a time, at least one row.
    """

    make: Make
    numbers: int

    @torch.no_grad()
    def run(self, parts: Sequence[Part], picture: Rows, emit: Emit, device: torch.device) -> None:
        """The picture through the parts; at most two maps exist at a time, and a residual block's input."""
        flow = Flow(picture, device)
        for part in track(parts, "Layers", len(parts)):
            flow = self._through(part, flow)
        for start, stop in _strips(flow.rows.height, self.numbers // (flow.rows.channels * flow.rows.width)):
            emit(start, flow.read(start, stop))
        flow.close()

    def _through(self, part: Part, flow: Flow) -> Flow:
        if isinstance(part, Pointwise):
            return flow.then(part.run)
        if isinstance(part, Window):
            return self._window(part, flow)
        if isinstance(part, Skip):
            return self._skip(part, flow)
        if flow.pending or flow.statistics is None:
            flow = self._window(Window(lambda x: x), flow)
        return flow.then((flow.statistics or Statistics()).normaliser(part, flow.device))

    def _window(self, part: Window, flow: Flow) -> Flow:
        rows, height, statistics = flow.rows, part.height(flow.rows.height), Statistics()
        numbers = (rows.channels * rows.width / part.scale) + (part.channels or rows.channels) * rows.width * part.scale
        made: Map | None = None
        for start, stop in _strips(height, int(self.numbers / numbers)):
            first, last = part.needs(start, stop, rows.height)
            result = part.between(_padded(flow, part, first, last), start, stop, first)
            made = made or self.make(result.shape[1], height, result.shape[3])
            made.write(start, result)
            statistics.add(result)
        flow.close()
        return Flow(made or rows, flow.device, statistics=statistics, owned=True)

    def _skip(self, part: Skip, flow: Flow) -> Flow:
        """The sum is written over what the parts made."""
        branch, statistics = replace(flow, owned=False), Statistics()
        for inner in part.parts:
            branch = self._through(inner, branch)
        made: Map = branch.rows  # type: ignore[assignment]
        for start, stop in _strips(made.height, self.numbers // (2 * made.channels * made.width)):
            result = branch.read(start, stop).add_(flow.read(start, stop))
            made.write(start, result)
            statistics.add(result)
        flow.close()
        return replace(branch, pending=(), statistics=statistics)


def _strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """Start and stop of strips of so many rows, of one at least."""
    rows = max(1, rows)
    return ((start, min(start + rows, height)) for start in range(0, height, rows))


def _padded(flow: Flow, part: Window, first: int, last: int) -> Tensor:
    """Rows first … last - 1 of the flow as the window pads it; the true edges of the picture alone are padded."""
    left, right, top, _ = part.pad
    wanted = range(first - top, last - top)
    height, mirror = flow.rows.height, part.mode == "reflect"
    inside = [_folded(row, height) if mirror else min(max(row, 0), height - 1) for row in wanted]
    start, stop = min(inside), max(inside) + 1
    x = flow.read(start, stop)
    if inside != list(range(start, stop)):
        x = x[:, :, [row - start for row in inside]]
    if part.mode == "zeros" and (outside := [i for i, row in enumerate(wanted) if not 0 <= row < height]):
        x[:, :, outside] = 0
    sides = (left, right, 0, 0)
    return pad(x, sides, mode="constant" if part.mode == "zeros" else part.mode) if left or right else x


def _folded(row: int, height: int) -> int:
    """The row that a reflection at the first and last puts there."""
    return height - 1 - abs(height - 1 - abs(row))
