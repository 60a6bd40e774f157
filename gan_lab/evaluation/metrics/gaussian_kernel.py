"""The maximum mean discrepancy under a Gaussian kernel, which in CLIP's features is CMMD.

Jayasumana et al. 2024, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation".
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.evaluation.derived import derived
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.metrics.neighbours import centred, distance_tiles, own_distance_tiles
from gan_lab.evaluation.statistics import Comparison, Values

SCALE = 1000.0
"""Factor of the published values."""


class GaussianKernelDistance(Comparison[Tensor, Tensor]):
    """``cmmd``: 1,000 times the squared maximum mean discrepancy between unit features under a Gaussian kernel.

    The published estimate, in which an image is also compared with itself. It is CMMD in the features of CLIP's
    ViT-L/14 at 336 px (``extractor=clip``).

    Kernels are computed in float32 tiles and added up in float64. With the default σ the
    error is below 2e-6, also for few images.

    Args:
        dim: d, the dimension of the features.
        real, fake: the number of images on each side over all ranks.
        sigma: deviation of the kernel.
    """

    baseline_keys = ("cmmd",)

    def __init__(self, dim: PositiveInt, real: PositiveInt, fake: PositiveInt, sigma: PositiveFloat = 10.0) -> None:
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.gamma = 1 / (2 * sigma**2)
        self.within = f"sum of the Gaussian kernel's complement, {self.gamma}"
        self.of_real = (self.within,)

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metric of features (m, d) and (n, d)."""
        inside = sum(
            derived(side, self.within, partial(_sum_within, side, self.gamma)).item() / len(side) ** 2
            for side in (real, fake)
        )
        between = _sum_between(real, fake, self.gamma).item() / (len(real) * len(fake))
        return {"cmmd": SCALE * (2 * between - inside)}


def _sum_within(x: Tensor, gamma: float) -> Tensor:
    """Returns the sum over all pairs of rows of x (m, d) of 1 minus the kernel, float64; each pair is computed once."""
    unit = F.normalize(x, dim=1)
    total = unit.new_zeros((), dtype=torch.float64)
    for here, there, squares in own_distance_tiles(unit - unit.double().mean(0).to(unit)):
        if here == there:
            total += _complement(squares.fill_diagonal_(0), gamma)
        else:
            total += 2 * _complement(squares, gamma)
    return total


def _sum_between(a: Tensor, b: Tensor, gamma: float) -> Tensor:
    """Returns the sum over the rows of a (m, d) and of b (n, d) of 1 minus the kernel, float64."""
    sides = centred(*(F.normalize(side, dim=1) for side in (a, b)))
    total = a.new_zeros((), dtype=torch.float64)
    for _, _, squares in distance_tiles(*sides):
        total += _complement(squares, gamma)
    return total


def _complement(squares: Tensor, gamma: float) -> Tensor:
    """Returns the sum of 1 minus the kernel of squared distances (r, s), which it overwrites. Close to 1 as the kernel
    is, the kernel itself would lose the digits.
    """
    return -squares.mul_(-gamma).expm1_().sum(1).double().sum()
