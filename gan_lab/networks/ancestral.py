"""Ancestral sampling: generates values one after the other from an autoregressive network."""

from typing import Protocol, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")


class Autoregressive(Protocol[State]):
    """A network that values can be sampled from; see ``masked_conv.AutoregressiveNetwork``."""

    def __call__(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps values (N, C, H, W), and labels (N,) if conditional, to logits (N, K, C, H, W)."""

    def init_state(self, values: Tensor, labels: Tensor | None = None) -> State:
        """Returns the state before the first row, for values (N, C, H, W) to be written, and labels (N,)."""

    def start_row(self, state: State, i: int) -> None:
        """Prepares row i, once the values of all rows above it are written."""

    def at_pixel(self, state: State, i: int, j: int) -> Tensor:
        """Returns the logits (N, K, C) of the pixel (i, j), valid for the channels up to the first unwritten one."""


@torch.no_grad()
def sample(
    network: Autoregressive[State],
    uniforms: Tensor,
    known: Tensor | None = None,
    mask: Tensor | None = None,
    labels: Tensor | None = None,
) -> Tensor:
    """Samples values by inverting the cumulative distribution of each at a given uniform number.

    Args:
        network: in evaluation mode.
        uniforms: (N, C, H, W) in [0, 1); sample i depends on uniforms[i] alone.
        known: values (N, C, H, W) that are kept at pixels where the mask is true.
        mask: bool (N, 1, H, W); nothing is known without it.
        labels: (N,), if conditional.

    Returns:
        int64 (N, C, H, W).
    """
    values, mask = _start(uniforms, known, mask)
    channels, height, width = values.shape[1:]
    state = network.init_state(values, labels)
    for i in range(height):
        network.start_row(state, i)
        for j in range(width):
            for c in range(channels):
                _write(values, mask, network.at_pixel(state, i, j)[:, :, c], uniforms, (c, i, j))
    return values


@torch.no_grad()
def sample_naively(
    network: Autoregressive[State],
    uniforms: Tensor,
    known: Tensor | None = None,
    mask: Tensor | None = None,
    labels: Tensor | None = None,
) -> Tensor:
    """Returns what ``sample`` returns, with a run of the whole network for each value: a slow reference for tests.

    Args:
        network: in evaluation mode.
        uniforms: (N, C, H, W) in [0, 1).
        known: values (N, C, H, W) that are kept at pixels where the mask is true.
        mask: bool (N, 1, H, W).
        labels: (N,), if conditional.

    Returns:
        int64 (N, C, H, W).
    """
    values, mask = _start(uniforms, known, mask)
    channels, height, width = values.shape[1:]
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                _write(values, mask, network(values, labels)[:, :, c, i, j], uniforms, (c, i, j))
    return values


def _start(uniforms: Tensor, known: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns the known values, else 0, and the mask, else false."""
    values = torch.zeros_like(uniforms, dtype=torch.long)
    if known is None or mask is None:
        return values, values[:, :1] > 0
    return torch.where(mask, known, values), mask


def _write(values: Tensor, mask: Tensor, logits: Tensor, uniforms: Tensor, place: tuple[int, int, int]) -> None:
    c, i, j = place
    sampled = inverse_cdf(logits, uniforms[:, c, i, j])
    values[:, c, i, j] = torch.where(mask[:, 0, i, j], values[:, c, i, j], sampled)


def inverse_cdf(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Returns the first level whose cumulative probability exceeds a uniform number.

    Args:
        logits: (N, K).
        uniforms: (N,) in [0, 1).

    Returns:
        int64 (N,).
    """
    cdf = torch.softmax(logits, 1).cumsum(1)
    heights = uniforms.to(cdf) * cdf[:, -1]  # the last is 1 but for rounding
    return torch.searchsorted(cdf, heights[:, None], right=True)[:, 0].clamp(max=logits.shape[1] - 1)
