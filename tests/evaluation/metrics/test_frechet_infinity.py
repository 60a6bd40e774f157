"""The extrapolated distance on Gaussians whose distance is known, and errors against repeated draws."""

import numpy as np
import pytest
import torch

from gan_lab.evaluation.metrics.frechet import Moments, frechet_distance_of_moments
from gan_lab.evaluation.metrics.frechet_infinity import FrechetInfinity, effective_dimension
from gan_lab.evaluation.statistics import NotApplicableError

DIM = 16


def mixing(seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(DIM, DIM, generator=random, dtype=torch.float64) / 4 + torch.eye(DIM, dtype=torch.float64)


REAL, FAKE = mixing(0), 1.1 * mixing(0)
TRUE = frechet_distance_of_moments(torch.zeros(DIM), REAL.T @ REAL, 0.2 * torch.ones(DIM), FAKE.T @ FAKE)


def measured(n, seed, real=40_000):
    random = torch.Generator().manual_seed(seed)
    metric = FrechetInfinity(DIM, n)
    metric.update(torch.randn(real, DIM, generator=random, dtype=torch.float64) @ REAL, True)
    metric.update(torch.randn(n, DIM, generator=random, dtype=torch.float64) @ FAKE + 0.2, False)
    return metric.compute()


def test_few_samples_extrapolate_to_many():
    found = [measured(200, seed) for seed in range(30)]
    plain, extrapolated = (np.array([each[key] for each in found]) for key in ("fd", "fd_inf"))
    assert plain.mean() > 1.05 * TRUE
    assert extrapolated.mean() == pytest.approx(TRUE, abs=3 * extrapolated.std() / 30**0.5 + 0.02 * TRUE)


def test_errors_are_those_of_repeated_draws():
    found = [measured(400, seed) for seed in range(60)]
    for key in ("fd", "fd_inf"):
        assert np.mean([each[f"{key}.error"] for each in found]) == pytest.approx(
            np.std([each[key] for each in found]), rel=0.4
        )


def flat(n, seed, dim=64):
    """Two Gaussians at a distance of 0.3² dim, all of whose dimensions count."""
    random = torch.Generator().manual_seed(seed)
    metric = FrechetInfinity(dim, n)
    metric.fake.update(1.3 * torch.randn(n, dim, generator=random, dtype=torch.float64), torch.arange(n))
    return metric.compare(
        Moments(10**6, torch.zeros(dim, dtype=torch.float64), torch.eye(dim).double()), metric.fake.compute()
    )


def test_the_least_number_of_samples_is_enough():
    found = [flat(400, seed) for seed in range(8)]
    expected = 64 * 0.3**2
    extrapolated, plain = (np.mean([each[key] for each in found]) for key in ("fd_inf", "fd"))
    assert plain > expected + 2
    assert extrapolated == pytest.approx(expected, abs=2 * found[0]["fd_inf.error"])


def test_too_few_samples_are_not_applicable():
    with pytest.raises(NotApplicableError, match="it needs 96"):
        FrechetInfinity(DIM, 95)
    with pytest.raises(NotApplicableError, match="384 samples are needed"):
        flat(383, 0)


def test_dimensions_with_small_variance_count_less():
    assert effective_dimension(Moments(9, torch.zeros(2), torch.diag(torch.tensor([4.0, 1.0])))) == pytest.approx(9 / 5)
