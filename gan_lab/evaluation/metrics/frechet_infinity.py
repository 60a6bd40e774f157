"""The Fréchet distance of infinitely many samples, and by how much the one of these many may err.

Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score and Where to Find Them": on N samples the
distance is too large by about c / N, with a c of each model's own, so models rank differently at different N.
"""

from collections.abc import Sequence
from functools import reduce
from math import ceil

import numpy as np
import torch

from gan_lab.evaluation.metrics.frechet import FeatureMoments, GroupedMoments, Moments, Sums, distance, factor
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

GROUPS, SHARES, DEGREE = 24, (1, 2, 3, 4, 6), 2
"""Parts that samples are dealt into; the distances of all, halves, thirds, quarters and sixths of them are extrapolated
from, by a polynomial of that degree: a line errs more where N is near d, a cubic scatters more."""

BLOCKS = 8
"""Every eighth part is left out for an error: more would be as right, and take longer."""

LEAST = 4 * GROUPS


class FrechetInfinity(Comparison):
    """``fd_inf``, the distance extrapolated to infinitely many samples, and its standard error; also the standard
    error of the distance as it is, ``fd.error``: both by leaving out each eighth of the samples in turn (jackknife).
    The real side is taken as it is.

    The distance is a smooth function of 1 / N where N is above the number of dimensions that the features really have,
    (Σ σ)² / Σ σ² of their standard deviations along the principal axes: d where all are equal, fewer where most hardly
    vary. Tried on Gaussians of five spectra, what is extrapolated is right within its error where the sixths are that
    large, and far off, by ten times its error, where they are half as large.

    Args:
        dim: d, the dimension of the features.
        fake: how many samples will come, over all ranks.
    """

    def __init__(self, dim: int, fake: int) -> None:
        if fake < LEAST:
            raise NotApplicableError(f"{fake} samples are too few to extrapolate from: {LEAST} at least.")
        super().__init__(FeatureMoments(dim, rooted=True), GroupedMoments(dim, torch.arange(fake) % GROUPS, GROUPS))

    def compare(self, real: Moments, fake: list[Sums]) -> Values:
        """Raises UnsuitedError where the samples are too few for these features."""
        needed = max(SHARES) * dimensions(real)
        if sum(part.count for part in fake) < needed:
            raise NotApplicableError(f"in these features {ceil(needed):,} samples are needed to extrapolate.")
        plain, extrapolated = zip(*(_both(real, fake, without) for without in (None, *range(BLOCKS))), strict=True)
        return {
            "fd": plain[0],
            "fd.error": _jackknife(plain[1:]),
            "fd_inf": extrapolated[0],
            "fd_inf.error": _jackknife(extrapolated[1:]),
        }


def dimensions(side: Moments) -> float:
    """How many dimensions of equal spread would be as many: (Σ σ)² / Σ σ²."""
    deviations = (factor(side.covariance) if side.root is None else side.root).norm(dim=1)
    return float(deviations.sum() ** 2 / deviations.square().sum())


def _both(real: Moments, parts: Sequence[Sums], without: int | None) -> tuple[float, float]:
    """The distance of all parts (but one block of them), and what it is extrapolated to.

    The value at 1 / N = 0 of a polynomial in 1 / N through the distances of all parts, of halves, of thirds, … of them.
    """
    inverse, means = [], []
    for share in SHARES:
        size = len(parts) // share
        unions = [
            reduce(Sums.__add__, [part for i, part in enumerate(parts) if i // size == k and i % BLOCKS != without])
            for k in range(share)
        ]
        inverse.append(float(np.mean([1 / union.count for union in unions])))
        means.append(float(np.mean([distance(real, union.moments()) for union in unions])))
    scaled = np.array(inverse) / inverse[0]  # for the solver's sake
    return means[0], float(np.polynomial.polynomial.polyfit(scaled, means, DEGREE)[0])


def _jackknife(values: Sequence[float]) -> float:
    """The standard error from the values without one block each."""
    n = len(values)
    return float(((n - 1) / n * np.square(np.array(values) - np.mean(values)).sum()) ** 0.5)
