"""Kernel distance: the squared maximum mean discrepancy between two sets of features under a cubic kernel.

Bińkowski et al. 2018, "Demystifying MMD GANs", section 4. In Inception's features it is the KID.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

_ROWS = 2048
"""Of a block: of features in float64 and of their products, so that 50,000 against 50,000 of 2,048 stay within 4 GB."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its standard error."""

    value: float
    error: float


class KernelDistance(Comparison):
    """``kd``, the kernel distance between real and made pictures' features, and ``kd.error``, its standard error.

    Args:
        dim: d, the dimension of the features.
        real, fake: how many pictures will come on each side, over all ranks.
        subsets: averages over so many random subsets of each side, as is published, and says their deviation,
            ``kd.std``; None takes all pairs.
        size: pictures in a subset; fewer where a side has fewer.
        seed: of the subsets; torch-fidelity's default.
    """

    baseline = ("kd", "kd.error")

    def __init__(
        self, dim: int, real: int, fake: int, subsets: int | None = None, size: int = 1000, seed: int = 2020
    ) -> None:
        if min(real, fake) < 3:
            raise NotApplicableError(f"it needs at least 3 pictures on each side, and there are {real} and {fake}.")
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.subsets, self.size, self.seed = subsets, min(size, real, fake), seed

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Features (m, d) and (n, d)."""
        if self.subsets is None:
            found = kernel_distance(fake, real)
            return {"kd": found.value, "kd.error": found.error}
        random = np.random.RandomState(self.seed)  # the reference's generator, in its order
        values = []
        for _ in range(self.subsets):
            parts = (side[random.choice(len(side), self.size, replace=False)] for side in (fake, real))
            values.append(kernel_distance(*parts).value)
        return {"kd": float(np.mean(values)), "kd.std": float(np.std(values))}


def kernel_distance(a: Tensor, b: Tensor) -> Estimate:
    """The unbiased estimate of MMD² with k(x, y) = (x·y / d + 1)³ over all pairs of features a (m, d) and b (n, d).

    Published figures average over random subsets of 1,000, whose expectation is the same; with all pairs nothing is
    left to chance and small sets need no other setting. It may be below zero. The error is the two-sample jackknife's
    (Arvesen 1969): each picture of each side left out in turn, which the kernel's sums by row give at once. It needs
    three on each side.
    """
    m, n = len(a), len(b)
    device = "cpu" if a.device.type == "mps" else a.device  # Apple's GPUs have no float64
    a, b = a.to(device), b.to(device)
    in_a, in_b, (a_to_b, b_to_a) = _others(a), _others(b), _sums(a, b)
    within_a, within_b, between = in_a.sum() / (m * (m - 1)), in_b.sum() / (n * (n - 1)), a_to_b.sum() / (m * n)
    without_a = _left_out(in_a, a_to_b, n) + within_b
    without_b = _left_out(in_b, b_to_a, m) + within_a
    variance = (m - 1) * without_a.var(correction=0) + (n - 1) * without_b.var(correction=0)
    return Estimate((within_a + within_b - 2 * between).item(), variance.sqrt().item())


def _left_out(inside: Tensor, across: Tensor, others: int) -> Tensor:
    """For each row of one side, what its within and between terms are without it."""
    m = len(inside)
    within = (inside.sum() - 2 * inside) / ((m - 1) * (m - 2))
    return within - 2 * (across.sum() - across) / ((m - 1) * others)


def _kernel(products: Tensor, dim: int) -> Tensor:
    base = products.div_(dim).add_(1)
    return base.square() * base


def _slices(count: int) -> list[slice]:
    return [slice(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS)]


def _others(x: Tensor) -> Tensor:
    """Of each row the sum of its kernel with all others; each pair of blocks once, for the kernel is symmetric."""
    found = x.new_zeros(len(x), dtype=torch.float64)
    blocks = _slices(len(x))
    for number, here in enumerate(blocks):
        rows = x[here].double()
        found[here] -= _kernel(rows.square().sum(1), x.shape[1])
        found[here] += _kernel(rows @ rows.T, x.shape[1]).sum(1)
        for there in blocks[number + 1 :]:
            kernel = _kernel(rows @ x[there].double().T, x.shape[1])
            found[here] += kernel.sum(1)
            found[there] += kernel.sum(0)
    return found


def _sums(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row of a the sum of its kernel with all of b, and the other way round."""
    across, down = (x.new_zeros(len(x), dtype=torch.float64) for x in (a, b))
    for here in _slices(len(a)):
        rows = a[here].double()
        for there in _slices(len(b)):
            kernel = _kernel(rows @ b[there].double().T, a.shape[1])
            across[here] += kernel.sum(1)
            down[there] += kernel.sum(0)
    return across, down
