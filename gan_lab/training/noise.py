"""Random numbers as functions of a key, so that a run is the same on any number of ranks and after any resume."""

import copy
from collections.abc import Callable
from hashlib import blake2b

import torch
from torch import Tensor


def seed_of(*key: int | str) -> int:
    """A 63-bit seed that depends on every part of the key: ``seed_of(seed, iteration, "generator")``."""
    return int.from_bytes(blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1


def seed_layers(seed: int, device: torch.device) -> None:
    """Starts the random numbers that layers on the device draw by themselves.

    ``torch.manual_seed`` also prepares for devices that are not in use, which takes milliseconds.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


class KeyedStream:
    """The random numbers of one turn (see ``gan_lab.common.types.RandomStream``).

    Numbers are drawn on the CPU for all ``parts`` of the global batch together, and the rows of one part are kept:
    ranks and micro-batches are the parts. Every call continues the same stream.

    Args:
        key: what the numbers are for, such as (seed, iteration, phase).
        part: which rows are wanted, in [0, parts).
        parts: into how many equal parts the global batch falls.
        device: where the rows are put.
    """

    def __init__(self, *key: int | str, part: int = 0, parts: int = 1, device: torch.device | str = "cpu") -> None:
        self.generator = torch.Generator().manual_seed(seed_of(*key))
        self.part, self.parts, self.device = part, parts, torch.device(device)

    def _rows(self, draw: Callable[..., Tensor], n: int, shape: tuple[int, ...]) -> Tensor:
        numbers = draw(n * self.parts, *shape, generator=self.generator)
        return numbers[self.part * n : (self.part + 1) * n].to(self.device, non_blocking=True)

    def on_host(self) -> "KeyedStream":
        """The same stream, its rows left on the CPU: for choices that Python makes, without waiting for a device."""
        host = copy.copy(self)
        host.device = torch.device("cpu")
        return host

    def normal(self, n: int, *shape: int) -> Tensor:
        return self._rows(torch.randn, n, shape)

    def uniform(self, n: int, *shape: int) -> Tensor:
        return self._rows(torch.rand, n, shape)

    def integers(self, n: int, high: int) -> Tensor:
        def draw(rows: int, generator: torch.Generator) -> Tensor:
            return torch.randint(high, (rows,), generator=generator)

        return self._rows(draw, n, ())
