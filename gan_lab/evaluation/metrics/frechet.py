"""Fréchet distance between two Gaussians, and the streaming moments it is computed from.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6, after Dowson and Landau 1982.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.statistics import Comparison, Statistic, Values, digest


@dataclass
class Moments:
    """Mean (d,) and unbiased covariance (d, d), divided by N - 1 as numpy.cov does, of ``count`` points; float64.

    ``root`` is the covariance's factor, where it was worked out before.
    """

    count: int
    mean: Tensor
    covariance: Tensor
    root: Tensor | None = None


def factor(covariance: Tensor) -> Tensor:
    """F (r, d) with FᵀF the covariance (d, d) and r its numerical rank."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = _above_rounding(values)
    return values[kept].sqrt()[:, None] * vectors[:, kept].T


def scatter(features: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (d,) of features (n, d), and F (n, d) with FᵀF their unbiased covariance; float64.

    Raises:
        UserError: for fewer than two points.
    """
    if len(features) < 2:
        raise _too_few(len(features))
    features = features.double()
    mean = features.mean(0)
    return mean, (features - mean) / (len(features) - 1) ** 0.5


def frechet_distance(mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor) -> float:
    """|μa - μb|² + tr(Ca + Cb - 2 (Ca Cb)^½), means (d,) and covariances (d, d)."""
    return distance(Moments(0, mean_a, covariance_a), Moments(0, mean_b, covariance_b))


def distance(real: Moments | Tensor, fake: Moments | Tensor) -> float:
    """The distance of two sides, each as its moments or, where they are fewer than dimensions, as features (n, d).

    With FᵀF = Ca the product has the non-zero eigenvalues of the symmetric F Cb Fᵀ, so a symmetric solver serves; with
    GᵀG = Cb besides, their roots are the singular values of F Gᵀ, which needs no covariance at all.
    """
    if isinstance(fake, Moments) and not isinstance(real, Moments):
        real, fake = fake, real  # the distance is symmetric, and a factor of the few points costs nothing
    mean, root, spread = _parts(real)
    if isinstance(fake, Moments):
        other, covariance = (each.cpu().double() for each in (fake.mean, fake.covariance))
        values = torch.linalg.eigvalsh(root @ covariance @ root.T)
        trace, its_spread = values[_above_rounding(values)].sqrt().sum(), covariance.trace()
    else:
        other, its_root, its_spread = _parts(fake)
        trace = torch.linalg.svdvals(root @ its_root.T).sum()
    found = (mean - other.reshape(-1)).square().sum() + spread + its_spread - 2 * trace
    return max(found.item(), 0.0)  # in this order: not a number stays so


def _parts(side: Moments | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (d,), factor (r, d) and trace of the covariance; float64 on the CPU."""
    if not isinstance(side, Moments):
        mean, root = scatter(side.cpu())
        return mean, root, root.square().sum()
    mean = side.mean.cpu().double().reshape(-1)
    covariance = side.covariance.cpu().double().reshape(len(mean), -1)
    return mean, factor(covariance) if side.root is None else side.root.cpu(), covariance.trace()


def _above_rounding(values: Tensor) -> Tensor:
    """Which of the ascending eigenvalues are not rounding of zero (numpy.linalg.matrix_rank's cut-off).

    The root of such noise would count: 1e-16 becomes 1e-8, two thousand times.
    """
    return values > values[-1:].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps


class FeatureMoments(Statistic):
    """Moments of features that arrive in batches, exact over ranks.

    Sums of x and xxᵀ are kept in float64: a covariance then errs by about 1e-16 · (mean² + variance), which features of
    networks (means near their deviation) and pixels never notice, so no shift has to be agreed on between ranks.

    Args:
        dim: d, the dimension of the features.
        rooted: works out the covariance's factor once, and keeps it with the states: for what never changes.
        metric: what ``torchmetrics.Metric`` takes.
    """

    total: Tensor
    outer: Tensor

    def __init__(self, dim: int, rooted: bool = False, **metric: Any) -> None:
        super().__init__(dim, rooted, **metric)
        self.rooted = rooted
        self.root: Tensor | None = None
        self.add_sum_state("total", dim)
        self.add_sum_state("outer", dim, dim)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Features (n, d)."""
        self.root = None
        features = values.to(self.total)
        self.total += features.sum(0)
        self.outer.addmm_(features.T, features)

    def compute(self) -> Moments:
        """Over all ranks (a collective).

        Raises:
            UserError: for fewer than two points.
        """
        found = moments(int(self.count), self.total, self.outer)
        if not self.rooted:
            return found
        return replace(found, root=factor(found.covariance) if self.root is None else self.root)

    def reset(self) -> None:
        super().reset()
        self.root = None

    def merged_states(self) -> dict[str, Tensor]:
        root = self.compute().root
        return super().merged_states() | ({} if root is None else {"root": root.contiguous()})

    def restore(self, states: dict[str, Tensor]) -> None:
        super().restore(states)
        self.root = states.get("root")


def moments(count: int, total: Tensor, outer: Tensor) -> Moments:
    """Of so many points with the sums Σx (d,) and Σxxᵀ (d, d).

    Raises:
        UserError: for fewer than two points.
    """
    if count < 2:
        raise _too_few(count)
    mean = total / count
    covariance = (outer - count * torch.outer(mean, mean)) / (count - 1)
    return Moments(count, mean.cpu(), covariance.cpu())


def _too_few(count: int) -> UserError:
    return UserError(f"A covariance needs at least 2 pictures, but there are {count}: raise n or data.limit.")


@dataclass
class Sums:
    """Σx (d,) and Σxxᵀ (d, d) of so many points: those of two sets add up."""

    count: int
    total: Tensor
    outer: Tensor

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.count + other.count, self.total + other.total, self.outer + other.outer)

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(self.count - other.count, self.total - other.total, self.outer - other.outer)

    def moments(self) -> Moments:
        return moments(self.count, self.total, self.outer)


class GroupedMoments(Statistic):
    """The sums of each group's features, exact over ranks.

    Args:
        dim: d, the dimension of the features.
        member: the group (n,) of each picture, int64, from 0.
        groups: how many there are.
    """

    number: Tensor
    total: Tensor
    outer: Tensor

    def __init__(self, dim: int, member: Tensor, groups: int) -> None:
        super().__init__(dim, groups, digest(member))
        self.member = member
        self.add_sum_state("number", groups, dtype=torch.int64)
        self.add_sum_state("total", groups, dim)
        self.add_sum_state("outer", groups, dim, dim)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Features (n, d)."""
        features, member = values.to(self.total), self.member.to(index.device)[index]
        for group in member.unique().tolist():
            own = features[member == group]
            self.number[group] += len(own)
            self.total[group] += own.sum(0)
            self.outer[group].addmm_(own.T, own)

    def compute(self) -> list[Sums]:
        """One a group, over all ranks (a collective)."""
        rows = zip(self.number.tolist(), self.total.cpu(), self.outer.cpu(), strict=True)
        return [Sums(*row) for row in rows]


class FrechetDistance(Comparison):
    """``fd``, the Fréchet distance between real and made pictures' features, exact over ranks.

    Args:
        dim: d, the dimension of the features.
        real, fake: how many pictures will come on each side, over all ranks; a side of fewer than d is kept whole, for
            its covariance would be of numbers that mostly cancel. None for many.
    """

    baseline = ("fd",)

    def __init__(self, dim: int, real: int | None = None, fake: int | None = None) -> None:
        super().__init__(
            *(
                FeatureTable(dim, n) if n is not None and n < dim else FeatureMoments(dim, rooted=side == "real")
                for side, n in (("real", real), ("fake", fake))
            )
        )

    def compare(self, real: Moments | Tensor, fake: Moments | Tensor) -> Values:
        """Raises UserError where a side has fewer than two points."""
        return {"fd": distance(real, fake)}
