"""Random numbers as functions of a key: a run is the same on any number of ranks and after any resume."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from gan_lab.common.seeds import seed_of


def seed_layers(seed: int, device: torch.device) -> None:
    """Seeds the global generator of the device, which layers such as dropout draw from.

    On the CPU this avoids ``torch.manual_seed``, which also seeds devices that are not in use and takes milliseconds.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


class KeyedStream:
    """The random numbers of one turn; implements ``gan_lab.common.types.RandomStream``.

    Numbers are drawn on the CPU for all ``parts`` of the global batch together, and the rows of one part are returned:
    ranks and micro-batches are the parts. Every call continues the same stream.

    Args:
        key: purpose of the numbers, such as (seed, iteration, phase).
        part: index of the part whose rows are returned, in [0, parts).
        parts: number of equal parts of the global batch.
        device: device of the returned rows.
    """

    def __init__(self, *key: int | str, part: int = 0, parts: int = 1, device: torch.device | str = "cpu") -> None:
        self.generator = torch.Generator().manual_seed(seed_of(*key))
        self.part, self.parts, self.device = part, parts, torch.device(device)

    def _rows(self, draw: Callable[..., Tensor], n: int, shape: tuple[int, ...]) -> Tensor:
        numbers = draw(n * self.parts, *shape, generator=self.generator)
        return numbers[self.part * n : (self.part + 1) * n].to(self.device, non_blocking=True)

    def on_host(self) -> "KeyedStream":
        """Returns the same stream with rows on the CPU: for choices made in Python, without waiting for a device."""
        host = copy.copy(self)
        host.device = torch.device("cpu")
        return host

    def normal(self, n: int, *shape: int) -> Tensor:
        """Returns standard normal numbers (n, *shape)."""
        return self._rows(torch.randn, n, shape)

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Returns numbers (n, *shape) uniform in [0, 1)."""
        return self._rows(torch.rand, n, shape)

    def integers(self, n: int, high: int) -> Tensor:
        """Returns int64 numbers (n,) uniform in [0, high)."""

        def draw(rows: int, generator: torch.Generator) -> Tensor:
            return torch.randint(high, (rows,), generator=generator)

        return self._rows(draw, n, ())
