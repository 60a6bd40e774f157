"""The kernel distance: the squared maximum mean discrepancy between two sets of features under a cubic kernel.

Bińkowski et al. 2018, "Demystifying MMD GANs", section 4. In Inception's features it is the KID.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt, Seed
from gan_lab.common.precision import full_precision
from gan_lab.evaluation.derived import derived
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

_ROWS = 1024
"""Rows and columns of a block: it stays in a processor's cache."""

_WITHIN = "sums of the cubic kernel"
"""Name of the sums within a side among what is ``derived`` from it."""


@dataclass(frozen=True)
class Estimate:
    """A metric and its standard error."""

    value: float
    error: float


class KernelDistance(Comparison[Tensor, Tensor]):
    """``kd``: the kernel distance between real and generated features, and ``kd.error``, its standard error.

    With ``subsets``, ``kd`` is the published average over random subsets of each side, and ``kd.std`` its deviation.

    Args:
        dim: d, the dimension of the features.
        real, fake: the number of images on each side over all ranks.
        subsets: the number of subsets; None takes all pairs.
        size: images in a subset; fewer if a side has fewer.
        seed: seed of the subsets; the default is torch-fidelity's.

    Raises:
        NotApplicableError: if a side has fewer than 3 images.
    """

    baseline_keys = ("kd", "kd.error")
    of_real = (_WITHIN,)

    def __init__(
        self,
        dim: PositiveInt,
        real: PositiveInt,
        fake: PositiveInt,
        subsets: PositiveInt | None = None,
        size: PositiveInt = 1000,
        seed: Seed = 2020,
    ) -> None:
        if min(real, fake) < 3:
            raise NotApplicableError(f"it needs at least 3 images on each side, and there are {real} and {fake}.")
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.subsets, self.size, self.seed = subsets, min(size, real, fake), seed

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of features (m, d) and (n, d)."""
        if self.subsets is None:
            found = kernel_distance(fake, real)
            return {"kd": found.value, "kd.error": found.error}
        random = np.random.RandomState(self.seed)  # the generator and the order of torch-fidelity
        values = []
        for _ in range(self.subsets):
            subsets = (side[random.choice(len(side), self.size, replace=False)] for side in (fake, real))
            values.append(kernel_distance(*subsets).value)
        return {"kd": float(np.mean(values)), "kd.std": float(np.std(values))}


def kernel_distance(a: Tensor, b: Tensor) -> Estimate:
    """Returns the unbiased estimate of MMD², k(x, y) = (x·y / d + 1)³, over all pairs of features (m, d) and (n, d).

    Published values average over random subsets of 1,000, which has the same expectation. With all pairs, the result
    does not depend on chance, and small sets need no other setting. The estimate may be negative. The error is that of
    the two-sample jackknife (Arvesen 1969), which leaves out each image of each side in turn; the kernel's row sums
    give all of these at once. Each side needs three images.

    Kernels are computed in the features' dtype and blocks of them added up in float64. With float32 features the error
    is below 1e-7 times the mean size of the kernel, and a small part of the standard error.
    """
    m, n = len(a), len(b)
    device = "cpu" if a.device.type == "mps" else a.device  # Apple's GPUs have no float64
    a, b = a.to(device), b.to(device)
    in_a, in_b = (derived(side, _WITHIN, partial(_sums_within, side)) for side in (a, b))
    a_to_b, b_to_a = _sums_between(a, b)
    within_a, within_b, between = in_a.sum() / (m * (m - 1)), in_b.sum() / (n * (n - 1)), a_to_b.sum() / (m * n)
    without_a = _leave_one_out(in_a, a_to_b, n) + within_b
    without_b = _leave_one_out(in_b, b_to_a, m) + within_a
    variance = (m - 1) * without_a.var(correction=0) + (n - 1) * without_b.var(correction=0)
    return Estimate((within_a + within_b - 2 * between).item(), variance.sqrt().item())


def _leave_one_out(inside: Tensor, across: Tensor, others: int) -> Tensor:
    """Returns, for each row of one side, the within and between terms without that row, (m,)."""
    m = len(inside)
    within = (inside.sum() - 2 * inside) / ((m - 1) * (m - 2))
    return within - 2 * (across.sum() - across) / ((m - 1) * others)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Returns the kernel of the rows of a (m, d) and of b (n, d), (m, n), in their dtype."""
    one = torch.ones((), dtype=a.dtype, device=a.device)
    with full_precision():
        return torch.addmm(one, a, b.T, alpha=1 / a.shape[1]).pow_(3)


def _slices(count: int) -> list[slice]:
    return [slice(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS)]


def _sums_within(x: Tensor) -> Tensor:
    """Returns, for each row of x (m, d), the sum of its kernel with all other rows, (m,).

    The kernel is symmetric, so each pair of blocks is computed once.
    """
    found = x.new_zeros(len(x), dtype=torch.float64)
    blocks = _slices(len(x))
    for number, here in enumerate(blocks):
        found[here] += _kernel(x[here], x[here]).fill_diagonal_(0).sum(1)
        for there in blocks[number + 1 :]:
            kernel = _kernel(x[here], x[there])
            found[here] += kernel.sum(1)
            found[there] += kernel.sum(0)
    return found


def _sums_between(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Returns, for each row of a, the sum of its kernel with all rows of b, and the other way round: (m,) and (n,)."""
    across, down = (x.new_zeros(len(x), dtype=torch.float64) for x in (a, b))
    for here in _slices(len(a)):
        for there in _slices(len(b)):
            kernel = _kernel(a[here], b[there])
            across[here] += kernel.sum(1)
            down[there] += kernel.sum(0)
    return across, down
