"""The extrapolated distance on Gaussians whose distance is known, and errors against repeated draws."""

import numpy as np
import pytest
import torch

from gan_lab.metrics.frechet import frechet_distance
from gan_lab.metrics.gathering import UnsuitedError
from gan_lab.metrics.infinity import FrechetInfinity

DIM = 16


def mixing(seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(DIM, DIM, generator=random, dtype=torch.float64) / 4 + torch.eye(DIM, dtype=torch.float64)


REAL, FAKE = mixing(0), 1.1 * mixing(0)
TRUE = frechet_distance(torch.zeros(DIM), REAL.T @ REAL, 0.2 * torch.ones(DIM), FAKE.T @ FAKE)


def measured(n, seed, real=40_000):
    random = torch.Generator().manual_seed(seed)
    metric = FrechetInfinity(DIM, n)
    metric.update(torch.randn(real, DIM, generator=random, dtype=torch.float64) @ REAL, True)
    metric.update(torch.randn(n, DIM, generator=random, dtype=torch.float64) @ FAKE + 0.2, False)
    return metric.compute()


def test_few_samples_tell_what_many_would():
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


def test_too_few_samples_are_passed_over():
    with pytest.raises(UnsuitedError, match="96 at least"):
        FrechetInfinity(DIM, 95)
