"""The maximum mean discrepancy under a Gaussian kernel, which in CLIP's features is CMMD.

Jayasumana et al. 2024, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation".
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.statistics import Comparison, Values

ROWS = 2048
"""Rows of a block of the kernel."""
SCALE = 1000.0
"""Factor of the published values."""


class GaussianKernelDistance(Comparison[Tensor, Tensor]):
    """``cmmd``: 1,000 times the squared maximum mean discrepancy between unit features under a Gaussian kernel.

    The published estimate, in which an image is also compared with itself. It is CMMD in the features of CLIP's
    ViT-L/14 at 336 px (``extractor=clip``).

    Args:
        dim: d, the dimension of the features.
        real, fake: the number of images on each side over all ranks.
        sigma: deviation of the kernel.
    """

    baseline_keys = ("cmmd",)

    def __init__(self, dim: PositiveInt, real: PositiveInt, fake: PositiveInt, sigma: PositiveFloat = 10.0) -> None:
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.gamma = 1 / (2 * sigma**2)

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metric of features (m, d) and (n, d)."""
        a, b = (F.normalize(side.double(), dim=1) for side in (real, fake))
        inside = self._complement(a, a) + self._complement(b, b)
        return {"cmmd": SCALE * (2 * self._complement(a, b) - inside)}

    def _complement(self, a: Tensor, b: Tensor) -> float:
        """Returns 1 minus the mean of the kernel: close to 1 as the kernel is, its digits would be lost."""
        total = a.new_zeros(())
        for rows in a.split(ROWS):
            for columns in b.split(ROWS):
                squared = (2 - 2 * rows @ columns.T).clamp_(min=0)
                total -= torch.expm1(-self.gamma * squared).sum()
        return total.item() / (len(a) * len(b))
