"""Drawing values one after the other from a network that gives each from the ones before it."""

from typing import Any, Protocol

import torch
from torch import Tensor


class Draws(Protocol):
    """What such a network can: see ``raster.Raster``."""

    def __call__(self, values: Tensor, labels: Tensor | None = None) -> Tensor: ...

    def begin(self, values: Tensor, labels: Tensor | None = None) -> Any: ...

    def row(self, state: Any, i: int) -> None: ...

    def pixel(self, state: Any, i: int, j: int) -> Tensor: ...


@torch.no_grad()
def sample(
    network: Draws,
    uniforms: Tensor,
    known: Tensor | None = None,
    mask: Tensor | None = None,
    labels: Tensor | None = None,
) -> Tensor:
    """Values (N, C, H, W), sample i from uniforms[i] alone, each where its uniform falls among its probabilities.

    Args:
        network: without dropout.
        uniforms: (N, C, H, W) in [0, 1).
        known: values (N, C, H, W) that are kept where the mask (N, 1, H, W) is true.
        mask: see above; without it nothing is known.
        labels: (N,), if the network takes them.
    """
    values, mask = _start(uniforms, known, mask)
    channels, height, width = values.shape[1:]
    state = network.begin(values, labels)
    for i in range(height):
        network.row(state, i)
        for j in range(width):
            for c in range(channels):
                _write(values, mask, network.pixel(state, i, j)[:, :, c], uniforms, (c, i, j))
    return values


@torch.no_grad()
def redraw(
    network: Draws,
    uniforms: Tensor,
    known: Tensor | None = None,
    mask: Tensor | None = None,
    labels: Tensor | None = None,
) -> Tensor:
    """What ``sample`` gives, by running the whole network anew for each value: slow, and plainly right."""
    values, mask = _start(uniforms, known, mask)
    channels, height, width = values.shape[1:]
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                _write(values, mask, network(values, labels)[:, :, c, i, j], uniforms, (c, i, j))
    return values


def _start(uniforms: Tensor, known: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The known values, else 0, and the mask, else false."""
    values = torch.zeros_like(uniforms, dtype=torch.long)
    if known is None or mask is None:
        return values, values[:, :1] > 0
    return torch.where(mask, known, values), mask


def _write(values: Tensor, mask: Tensor, logits: Tensor, uniforms: Tensor, place: tuple[int, int, int]) -> None:
    c, i, j = place
    drawn = choose(logits, uniforms[:, c, i, j])
    values[:, c, i, j] = torch.where(mask[:, 0, i, j], values[:, c, i, j], drawn)


def choose(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Logits (N, K) and uniforms (N,) in [0, 1) → the first level (N,) whose cumulated probability exceeds it."""
    below = torch.softmax(logits, 1).cumsum(1)
    heights = uniforms.to(below) * below[:, -1]  # whose last is 1 but for rounding
    return torch.searchsorted(below, heights[:, None], right=True)[:, 0].clamp(max=logits.shape[1] - 1)
