"""The Fréchet distance between two Gaussians, and the streaming moments it is computed from.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6, after Dowson and Landau 1982.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.statistics import Comparison, Statistic, Values, digest


@dataclass
class Moments:
    """Mean (d,) and unbiased covariance (d, d), divided by N - 1 as in numpy.cov, of ``count`` points; float64.

    ``factor`` is the covariance's factor, see ``covariance_factor``, if it was computed before.
    """

    count: int
    mean: Tensor
    covariance: Tensor
    factor: Tensor | None = None


def covariance_factor(covariance: Tensor) -> Tensor:
    """Returns F (r, d) with FᵀF the covariance (d, d); r is d, or the numerical rank of one that is not definite."""
    triangle, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:  # positive definite, and a tenth of the time of eigenvectors
        return triangle.mT
    values, vectors = torch.linalg.eigh(covariance)
    kept = _above_rounding(values)
    return values[kept].sqrt()[:, None] * vectors[:, kept].T


def centred_factor(features: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the mean (d,) of features (n, d), and F (n, d) with FᵀF their unbiased covariance; float64.

    Raises:
        UserError: if there are fewer than two points.
    """
    if len(features) < 2:
        raise _too_few(len(features))
    features = features.double()
    mean = features.mean(0)
    return mean, (features - mean) / (len(features) - 1) ** 0.5


def frechet_distance_of_moments(mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor) -> float:
    """Returns |μa - μb|² + tr(Ca + Cb - 2 (Ca Cb)^½) of means (d,), (d,) and covariances (d, d), (d, d)."""
    return frechet_distance(Moments(0, mean_a, covariance_a), Moments(0, mean_b, covariance_b))


def frechet_distance(real: Moments | Tensor, fake: Moments | Tensor) -> float:
    """Returns the squared Fréchet distance of two sides, given as moments, or as features (m, d), (n, d) if m, n < d.

    With FᵀF = Ca, the product Ca Cb has the non-zero eigenvalues of the symmetric matrix F Cb Fᵀ, so a symmetric solver
    is enough. With GᵀG = Cb, too, the roots of these are the singular values of F Gᵀ, which needs no covariance at all.
    Features of more than d points are replaced by their moments.
    """
    real, fake = _without_long_tables(real), _without_long_tables(fake)
    if isinstance(fake, Moments) and not isinstance(real, Moments):
        real, fake = fake, real  # the distance is symmetric, and few points have a factor that costs nothing
    mean, factor, trace = _parts(real)
    if isinstance(fake, Moments):
        other, covariance = (each.cpu().double() for each in (fake.mean, fake.covariance))
        values = torch.linalg.eigvalsh(factor @ covariance @ factor.T)
        cross, other_trace = values[_above_rounding(values)].sqrt().sum(), covariance.trace()
    else:
        other, other_factor, other_trace = _parts(fake)
        cross = torch.linalg.svdvals(factor @ other_factor.T).sum()
    found = (mean - other.reshape(-1)).square().sum() + trace + other_trace - 2 * cross
    return max(found.item(), 0.0)  # in this order, NaN stays NaN


def _without_long_tables(side: Moments | Tensor) -> Moments | Tensor:
    return side if isinstance(side, Moments) or len(side) <= side.shape[1] else moments_of(side)


def moments_of(features: Tensor) -> Moments:
    """Returns the moments of features (n, d).

    Raises:
        UserError: if there are fewer than two points.
    """
    mean, factor = centred_factor(features)
    return Moments(len(features), mean, factor.T @ factor)


def _parts(side: Moments | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the mean (d,), the factor (r, d) and the trace of the covariance; float64 on the CPU."""
    if not isinstance(side, Moments):
        mean, factor = centred_factor(side.cpu())
        return mean, factor, factor.square().sum()
    mean = side.mean.cpu().double().reshape(-1)
    covariance = side.covariance.cpu().double().reshape(len(mean), -1)
    factor = covariance_factor(covariance) if side.factor is None else side.factor.cpu()
    return mean, factor, covariance.trace()


def _above_rounding(values: Tensor) -> Tensor:
    """Selects those of the ascending eigenvalues (d,) that are not rounding errors of zero, by the cut-off of
    numpy.linalg.matrix_rank.

    The root of such noise would count: 1e-16 becomes 1e-8, two thousand times.
    """
    return values > values[-1:].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps


class FeatureMoments(Statistic[Moments]):
    """The moments of features that arrive in batches, exact over ranks.

    Sums of x and xxᵀ are kept in float64. The covariance then has an error of about 1e-16 · (mean² + variance), which
    is negligible for features of networks (means near their deviation) and pixels, so ranks need not agree on a shift.

    Args:
        dim: d, the dimension of the features.
        with_factor: computes the covariance's factor once, and caches it with the states: for sets that never change.
        sync_on_compute: whether ``compute`` sums over ranks first.
    """

    total: Tensor
    outer: Tensor

    def __init__(self, dim: int, with_factor: bool = False, sync_on_compute: bool = True) -> None:
        super().__init__(dim, with_factor, sync_on_compute=sync_on_compute)
        self.with_factor = with_factor
        self.factor: Tensor | None = None
        self.add_sum_state("total", dim)
        self.add_sum_state("outer", dim, dim)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds features (m, d) of the images with the numbers ``index`` (m,)."""
        self.factor = None
        features = values.to(self.total)
        self.total += features.sum(0)
        self.outer.addmm_(features.T, features)

    def compute(self) -> Moments:
        """Returns the moments over all ranks (collective).

        Raises:
            UserError: if there are fewer than two points.
        """
        found = moments(int(self.count), self.total, self.outer)
        if not self.with_factor:
            return found
        return replace(found, factor=covariance_factor(found.covariance) if self.factor is None else self.factor)

    def reset(self) -> None:
        """Forgets all features."""
        super().reset()
        self.factor = None

    def merged_states(self) -> dict[str, Tensor]:
        """Returns the states summed over ranks, and the factor, on the CPU (collective)."""
        factor = self.compute().factor
        return super().merged_states() | ({} if factor is None else {"factor": factor.contiguous()})

    def load_states(self, states: Mapping[str, Tensor]) -> None:
        """Loads merged states, and the factor if it is among them."""
        super().load_states(states)
        self.factor = states.get("factor")


def moments(count: int, total: Tensor, outer: Tensor) -> Moments:
    """Returns the moments of ``count`` points with the sums Σx (d,) and Σxxᵀ (d, d).

    Raises:
        UserError: if there are fewer than two points.
    """
    if count < 2:
        raise _too_few(count)
    mean = total / count
    covariance = (outer - count * torch.outer(mean, mean)) / (count - 1)
    return Moments(count, mean.cpu(), covariance.cpu())


def _too_few(count: int) -> UserError:
    return UserError(f"A covariance needs at least 2 images, but there are {count}: raise n or data.limit.")


@dataclass
class MomentSums:
    """Σx (d,) and Σxxᵀ (d, d) of ``count`` points: the sums of two sets can be added."""

    count: int
    total: Tensor
    outer: Tensor

    def __add__(self, other: "MomentSums") -> "MomentSums":
        return MomentSums(self.count + other.count, self.total + other.total, self.outer + other.outer)

    def __sub__(self, other: "MomentSums") -> "MomentSums":
        return MomentSums(self.count - other.count, self.total - other.total, self.outer - other.outer)

    def moments(self) -> Moments:
        """Returns the moments of the points.

        Raises:
            UserError: if there are fewer than two points.
        """
        return moments(self.count, self.total, self.outer)


class GroupedMoments(Statistic[list[MomentSums]]):
    """The moment sums of several groups of features, exact over ranks.

    Args:
        dim: d, the dimension of the features.
        group: the group of each image, int64 (n,), from 0.
        groups: the number of groups.
    """

    number: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, dim: int, group: Tensor, groups: int) -> None:
        super().__init__(dim, groups, digest(group))
        self.group = group
        self.add_sum_state("number", groups, dtype=torch.int64)
        self.add_sum_state("total", groups, dim)
        self.add_sum_state("outer", groups, dim, dim)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds features (m, d) of the images with the numbers ``index`` (m,)."""
        features, groups = values.to(self.total), self.group.to(index.device)[index]
        for group in groups.unique().tolist():
            own = features[groups == group]
            self.number[group] += len(own)
            self.total[group] += own.sum(0)
            self.outer[group].addmm_(own.T, own)

    def compute(self) -> list[MomentSums]:
        """Returns the sums of each group over all ranks (collective)."""
        rows = zip(self.number.tolist(), self.total.cpu(), self.outer.cpu(), strict=True)
        return [MomentSums(*row) for row in rows]


class FrechetDistance(Comparison[Moments | Tensor, Moments | Tensor]):
    """``fd``: the squared Fréchet distance between real and generated features, exact over ranks. In Inception's
    features it is the FID.

    Args:
        dim: d, the dimension of the features.
        real, fake: the number of images on each side over all ranks, None for many. A side with fewer images than d is
            kept as a table, because its covariance would be computed from sums that mostly cancel.
    """

    baseline_keys = ("fd",)

    def __init__(self, dim: PositiveInt, real: PositiveInt | None = None, fake: PositiveInt | None = None) -> None:
        super().__init__(moments_or_table(dim, real, with_factor=True), moments_or_table(dim, fake, with_factor=False))

    def compare(self, real: Moments | Tensor, fake: Moments | Tensor) -> Values:
        """Returns the metric of moments, or of features (m, d) and (n, d).

        Raises:
            UserError: if a side has fewer than two points.
        """
        return {"fd": frechet_distance(real, fake)}


def moments_or_table(dim: int, n: int | None, with_factor: bool) -> Statistic[Moments | Tensor]:
    """Returns a statistic of n features of d dimensions that ``frechet_distance`` takes: a table if they are few."""
    return FeatureTable(dim, n) if n is not None and n < dim else FeatureMoments(dim, with_factor)
