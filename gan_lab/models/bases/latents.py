"""Priors over latents: plain callables from random numbers to latents (n, Z)."""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_lab.common.types import RandomStream
from gan_lab.training.noise import KeyedStream


class Normal:
    """z ~ N(0, I), of ``dim`` numbers."""

    latent_range = 3.0

    def __init__(self, dim: int) -> None:
        self.dim = _some(dim)

    def __call__(self, noise: RandomStream, n: int) -> Tensor:
        return noise.normal(n, self.dim)


class Uniform:
    """z ~ U(-1, 1), of ``dim`` numbers (the prior of the GAN and DCGAN papers)."""

    latent_range = 1.0

    def __init__(self, dim: int) -> None:
        self.dim = _some(dim)

    def __call__(self, noise: RandomStream, n: int) -> Tensor:
        return noise.uniform(n, self.dim) * 2 - 1


def _some(dim: int) -> int:
    if dim < 1:
        raise ValueError(f"{dim} latents do not serve: give a whole number from 1 up.")
    return dim


def draw_per_sample(
    draw: Callable[[RandomStream], Tensor], n: int, seed: int, start: int, what: str = "sample"
) -> Tensor:
    """``shared_forward``'s one row for each of the samples start … start + n - 1, each a function of (seed, what, i) alone."""
    if n == 0:
        return draw(KeyedStream(seed, what, start))[:0]
    return torch.cat([draw(KeyedStream(seed, what, start + i)) for i in range(n)])
