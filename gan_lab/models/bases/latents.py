"""Priors over latents: callables from random numbers to latents (n, Z); and latents of numbered samples."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.types import RandomStream
from gan_lab.training.noise import KeyedStream


class Prior(Protocol):
    """Distribution of latents: random numbers and a count n → latents (n, Z)."""

    latent_range: float
    """Half-range r of each latent: nearly all values lie in [-r, r]."""

    def __call__(self, noise: RandomStream, n: int) -> Tensor: ...


class Normal:
    """z ~ N(0, I), with ``dim`` latents.

    Raises:
        ValueError: if ``dim`` is not positive.
    """

    latent_range = 3.0

    def __init__(self, dim: PositiveInt) -> None:
        self.dim = _positive(dim)

    def __call__(self, noise: RandomStream, n: int) -> Tensor:
        return noise.normal(n, self.dim)


class Uniform:
    """z ~ U(-1, 1), with ``dim`` latents (the prior of the GAN and DCGAN papers).

    Raises:
        ValueError: if ``dim`` is not positive.
    """

    latent_range = 1.0

    def __init__(self, dim: int) -> None:
        self.dim = _positive(dim)

    def __call__(self, noise: RandomStream, n: int) -> Tensor:
        return noise.uniform(n, self.dim) * 2 - 1


def _positive(dim: int) -> int:
    if dim < 1:
        raise ValueError(f"A prior of {dim} latents is not valid: give an integer of at least 1.")
    return dim


def draw_per_sample(
    draw: Callable[[RandomStream], Tensor], n: int, seed: int, start: int, purpose: str = "sample"
) -> Tensor:
    """Returns one row of ``draw`` for each of the samples start … start + n - 1, (n, …).

    Row i is a function of (seed, purpose, i) alone.
    """
    if n == 0:
        return draw(KeyedStream(seed, purpose, start))[:0]
    return torch.cat([draw(KeyedStream(seed, purpose, start + i)) for i in range(n)])


def sample_latents(prior: Prior, n: int, seed: int, start: int, truncation: float = 1.0) -> Tensor:
    """Returns latents (n, Z) of samples start … start + n - 1 of a seed, shrunk towards 0 by ``truncation``."""
    return truncation * draw_per_sample(lambda noise: prior(noise, 1), n, seed, start)
