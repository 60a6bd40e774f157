"""Measures how far an exported graph's outputs are from the model's own."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.inference.export.graphs import Forward

BATCHES = (1, 3)
"""Batch sizes that graphs are tried with."""
LEVELS = 1e-3
"""Largest mean difference in levels of uint8 pixels: a value between two levels may be rounded to either."""


@dataclass(frozen=True)
class Difference:
    """Differences of one output at one size and batch size.

    Args:
        graph, output: names.
        provider: of the runtime.
        size: height and width of the images.
        batch: batch size.
        largest, mean: absolute differences; in levels if the output is uint8 pixels.
        scale: the largest absolute value of the output.
    """

    graph: str
    output: str
    provider: str
    size: tuple[int, int]
    batch: int
    largest: float
    mean: float
    scale: float
    pixels: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """The difference as plain containers."""
        return {**asdict(self), "size": [*self.size]}


def differences(
    forward: Forward, exported: Callable[..., Tensor], provider: str, n: int, sizes: int = 2
) -> Iterator[Difference]:
    """Yields the differences of a graph on n inputs, at several sizes of images and two batch sizes.

    Args:
        forward: the model's own.
        exported: the graph in its file, as a function of the same inputs.
        provider: name of what runs it.
        n: number of inputs.
        sizes: number of sizes, if the graph takes any.
    """
    graph = forward.graph
    for size in graph.sizes(sizes):
        inputs = forward.inputs(n, size)
        expected = forward(*inputs)
        for batch in BATCHES:
            found = torch.cat([exported(*part) for part in _parts(forward, inputs, n, batch)])
            apart = (found.double() - expected.double()).abs()
            yield Difference(
                graph.name, graph.output, provider, size, batch, float(apart.max()), float(apart.mean()),
                float(expected.double().abs().max()), not expected.is_floating_point(),
            )  # fmt: skip


def _parts(forward: Forward, inputs: tuple[Tensor, ...], n: int, batch: int) -> Iterator[tuple[Tensor, ...]]:
    """Yields the inputs of each batch; what has no batch axis is in each."""
    ports = forward.graph.ports
    for start in range(0, n, batch):
        rows = slice(start, start + batch)
        yield tuple(
            value[rows].contiguous() if 0 in port.axes else value for port, value in zip(ports, inputs, strict=True)
        )


def check(found: list[Difference], bound: float) -> None:
    """Checks that differences are within a bound.

    Raises:
        UserError: if one is not; nan never is.
    """
    for each in found:
        within = (each.largest <= 1 and each.mean <= LEVELS) if each.pixels else each.largest <= bound
        if not within:
            size = "×".join(map(str, each.size))
            allowed = "one level in a thousand pixels" if each.pixels else f"bound={bound:g}"
            raise UserError(
                f"The output {each.output} of the exported graph {each.graph} differs from the model's by up to "
                f"{each.largest:.2g} at {size} px and a batch of {each.batch} ({each.provider}), which is more than "
                f"{allowed}: give a larger bound=, if that is near enough."
            )
