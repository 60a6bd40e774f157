"""Fréchet distance between two Gaussians, and the streaming moments it is computed from.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6, after Dowson and Landau 1982.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from gan_lab.types import UserError


@dataclass
class Moments:
    """Mean (d,) and unbiased covariance (d, d), divided by N - 1 as numpy.cov does, of ``count`` points; float64."""

    count: int
    mean: Tensor
    covariance: Tensor


def factor(covariance: Tensor) -> Tensor:
    """F (r, d) with FᵀF the covariance (d, d) and r its numerical rank."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = _above_rounding(values)
    return values[kept].sqrt()[:, None] * vectors[:, kept].T


def frechet_distance(mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor) -> float:
    """|μa - μb|² + tr(Ca + Cb - 2 (Ca Cb)^½), means (d,) and covariances (d, d).

    With FᵀF = Ca the product has the non-zero eigenvalues of the symmetric F Cb Fᵀ, so a symmetric solver serves.
    """
    mean_a, mean_b = (mean.cpu().double().reshape(-1) for mean in (mean_a, mean_b))
    cov_a, cov_b = (cov.cpu().double().reshape(len(mean_a), -1) for cov in (covariance_a, covariance_b))
    root = factor(cov_a)
    values = torch.linalg.eigvalsh(root @ cov_b @ root.T)
    trace = values[_above_rounding(values)].sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * trace
    return max(distance.item(), 0.0)  # in this order: not a number stays so


def _above_rounding(values: Tensor) -> Tensor:
    """Which of the ascending eigenvalues are not rounding of zero (numpy.linalg.matrix_rank's cut-off).

    The root of such noise would count: 1e-16 becomes 1e-8, two thousand times.
    """
    return values > values[-1:].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps


class FeatureMoments(Metric):
    """Moments of features that arrive in batches, exact over ranks.

    Sums of x and xxᵀ are kept in float64: a covariance then errs by about 1e-16 · (mean² + variance), which features of
    networks (means near their deviation) and pixels never notice, so no shift has to be agreed on between ranks.

    Args:
        dim: d, the dimension of the features.
        metric: what ``torchmetrics.Metric`` takes.
    """

    full_state_update = False
    count: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, dim: int, **metric: Any) -> None:
        super().__init__(**metric)
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(dim, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("outer", torch.zeros(dim, dim, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor) -> None:
        """Features (n, d)."""
        features = features.detach().to(self.total)
        self.count += len(features)
        self.total += features.sum(0)
        self.outer.addmm_(features.T, features)

    def compute(self) -> Moments:
        """Over all ranks (a collective).

        Raises:
            UserError: for fewer than two points.
        """
        count = int(self.count)
        if count < 2:
            raise UserError(f"A covariance needs at least 2 pictures, but there are {count}: raise n or data.limit.")
        mean = self.total / count
        covariance = (self.outer - count * torch.outer(mean, mean)) / (count - 1)
        return Moments(count, mean.cpu(), covariance.cpu())


class FrechetDistance(Metric):
    """Fréchet distance between real and generated features, exact over ranks.

    Args:
        dim: d, the dimension of the features.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.real, self.fake = FeatureMoments(dim), FeatureMoments(dim)

    def update(self, features: Tensor, real: bool) -> None:
        """Features (n, d) of the real or the generated side."""
        (self.real if real else self.fake).update(features)

    def compute(self) -> Tensor:
        """The distance, a float64 scalar; a collective. Raises UserError where a side has fewer than two points."""
        real, fake = self.real.compute(), self.fake.compute()
        distance = frechet_distance(real.mean, real.covariance, fake.mean, fake.covariance)
        return torch.tensor(distance, dtype=torch.float64)

    def reset(self) -> None:
        super().reset()
        self.real.reset()
        self.fake.reset()
