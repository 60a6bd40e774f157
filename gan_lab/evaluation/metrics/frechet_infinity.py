"""The Fréchet distance extrapolated to infinitely many samples, and the standard error of the one at finite N.

Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score and Where to Find Them": with N samples the
distance is too large by about c / N, where c depends on the model, so models rank differently at different N.
"""

from collections.abc import Sequence
from functools import reduce
from math import ceil

import numpy as np
import torch

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.metrics.frechet import (
    FeatureMoments,
    GroupedMoments,
    Moments,
    MomentSums,
    frechet_distance,
)
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

GROUPS, SHARES, DEGREE = 24, (1, 2, 3, 4, 6), 2
"""The samples are dealt into groups. A polynomial of this degree extrapolates the distances of all of them, of halves,
thirds, quarters and sixths: a line has a larger bias where N is near d, a cubic has a larger variance."""

BLOCKS = 8
"""For the standard error, every eighth group is left out: more blocks would be as accurate, and slower."""

MIN_SAMPLES = 4 * GROUPS


class FrechetInfinity(Comparison[Moments, list[MomentSums]]):
    """``fd_inf``: the distance extrapolated to infinitely many samples, and ``fd_inf.error``, its standard error.

    Also ``fd`` and ``fd.error``, the distance of the samples as they are and its standard error. Both errors come from
    a jackknife that leaves out each eighth of the samples in turn. The real side is taken as it is.

    The distance is a smooth function of 1 / N if N is above the effective dimension of the features, (Σ σ)² / Σ σ² of
    their standard deviations along the principal axes: d if all are equal, less if most are small. On Gaussians with
    five spectra, the extrapolation was right within its error if the sixths were that large, and wrong by ten times
    its error if they were half as large.

    Args:
        dim: d, the dimension of the features.
        fake: the number of samples over all ranks.

    Raises:
        NotApplicableError: if there are too few samples.
    """

    def __init__(self, dim: PositiveInt, fake: PositiveInt) -> None:
        if fake < MIN_SAMPLES:
            raise NotApplicableError(f"{fake} samples are too few to extrapolate from: it needs {MIN_SAMPLES}.")
        super().__init__(
            FeatureMoments(dim, with_factor=True), GroupedMoments(dim, torch.arange(fake) % GROUPS, GROUPS)
        )

    def compare(self, real: Moments, fake: list[MomentSums]) -> Values:
        """Returns the metrics.

        Raises:
            NotApplicableError: if there are too few samples for the effective dimension of the features.
        """
        needed = max(SHARES) * effective_dimension(real)
        if sum(group.count for group in fake) < needed:
            raise NotApplicableError(f"in these features {ceil(needed):,} samples are needed to extrapolate.")
        plain, extrapolated = zip(*(_distances(real, fake, without) for without in (None, *range(BLOCKS))), strict=True)
        return {
            "fd": plain[0],
            "fd.error": _jackknife(plain[1:]),
            "fd_inf": extrapolated[0],
            "fd_inf.error": _jackknife(extrapolated[1:]),
        }


def effective_dimension(side: Moments) -> float:
    """Returns the number of dimensions of equal spread that would be equivalent: (Σ σ)² / Σ σ²."""
    deviations = torch.linalg.eigvalsh(side.covariance).clamp(min=0).sqrt()
    return float(deviations.sum() ** 2 / deviations.square().sum())


def _distances(real: Moments, groups: Sequence[MomentSums], without: int | None) -> tuple[float, float]:
    """Returns the distance of all groups (without one block of them), and its extrapolation.

    The latter is the value at 1 / N = 0 of a polynomial in 1 / N through the mean distances of all groups, of halves,
    of thirds, … of them.
    """
    inverse, means = [], []
    for share in SHARES:
        size = len(groups) // share
        unions = [
            reduce(
                MomentSums.__add__,
                [group for i, group in enumerate(groups) if i // size == k and i % BLOCKS != without],
            )
            for k in range(share)
        ]
        inverse.append(float(np.mean([1 / union.count for union in unions])))
        means.append(float(np.mean([frechet_distance(real, union.moments()) for union in unions])))
    scaled = np.array(inverse) / inverse[0]  # improves the condition of the least-squares problem
    return means[0], float(np.polynomial.polynomial.polyfit(scaled, means, DEGREE)[0])


def _jackknife(values: Sequence[float]) -> float:
    """Returns the standard error from the values that leave out one block each."""
    n = len(values)
    return float(((n - 1) / n * np.square(np.array(values) - np.mean(values)).sum()) ** 0.5)
