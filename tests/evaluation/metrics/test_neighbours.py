"""Neighbours and balls against brute force in float64, also where distances are equal or nearly so."""

import pytest
import torch

from gan_lab.evaluation.metrics.neighbours import (
    ROUNDING,
    centred,
    covered_by_each_other,
    distance_blocks,
    nearest,
    neighbour_squares,
    squared_radii,
)
from gan_lab.evaluation.metrics.precision_recall import DensityCoverage, PrecisionRecall


def drawn(n, dim=6, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def lattice(n, dim=3, seed=0, far=0):
    """Points with small integer coordinates: most distances occur many times, and float32 holds all exactly."""
    return torch.randint(0, 4, (n, dim), generator=torch.Generator().manual_seed(seed)).float() + far


def squares(a, b):
    return torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist").square()


def exact_squares(a, b):
    return (a.double()[:, None] - b.double()).square().sum(2)


def exact_radii(x, k):
    return exact_squares(x, x).fill_diagonal_(torch.inf).sort().values[:, k - 1]


FEATURES = {
    "normal": drawn(300, 608),
    "rectified": drawn(300, 2048).relu() + 0.3,
    "far from zero": drawn(300, 128) + 100,
    "unequal scales": drawn(300, 64) * torch.logspace(-3, 3, 64),
    "an outlier": torch.cat([drawn(299, 32), torch.full((1, 32), 1e4)]),
}


@pytest.mark.parametrize("x", FEATURES.values(), ids=FEATURES)
def test_rounding_has_a_bound(x):
    real, fake = centred(x[:200], x[200:])
    for part, found in distance_blocks(fake, real):
        sizes = fake[part].double().square().sum(1)[:, None] + real.double().square().sum(1)
        assert ((found - squares(fake[part], real)).abs() <= ROUNDING / 2 * sizes).all()


@pytest.mark.parametrize("x", [*FEATURES.values(), lattice(200), lattice(200, far=1000)])
@pytest.mark.parametrize("k", [1, 5])
def test_radii_are_those_of_all_distances(monkeypatch, x, k):
    monkeypatch.setattr("gan_lab.evaluation.metrics.neighbours._TILE", 37)
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(1))]
    exact = exact_radii(x, k)
    sizes = (x - x.mean(0)).double().square().sum(1)
    assert ((squared_radii(x, k) - exact).abs() <= 1e-6 * exact + ROUNDING * sizes.max()).all()
    if (x == x.round()).all():
        assert squared_radii(x, k).tolist() == exact.tolist()


@pytest.mark.parametrize("far", [0, 1000])
@pytest.mark.parametrize("k", [1, 3])
def test_ties_are_decided_exactly(far, k):
    """Copies lie in balls of radius 0, and a point on a ball's surface lies in it: the definition has ≤."""
    real, fake = lattice(40, 4, 1, far), lattice(50, 4, 2, far) + torch.tensor([0.0, 0.0, 0.0, 2.0])
    apart = exact_squares(fake, real)
    precise, recalled = (apart <= exact_radii(real, k)).any(1), (exact_radii(fake, k) >= apart.T).any(1)
    found = covered_by_each_other(fake, real, squared_radii(fake, k), squared_radii(real, k))
    assert (found[0].tolist(), found[1].tolist()) == (precise.tolist(), recalled.tolist())
    assert 0 < precise.sum() < len(fake)
    assert ((apart == exact_radii(real, k)).any(1) & ~(apart < exact_radii(real, k)).any(1)).any()


def test_almost_ties_are_decided_like_all_distances():
    """Samples lie a ten-millionth inside or outside of a ball, where float32 products cannot tell."""
    real = torch.tensor([[0.0, 0.0], [1.0, 0.0]]).repeat(1, 32) + 3
    radius = (real[0].double() - real[1].double()).norm()
    steps = torch.linspace(-6e-7, 6e-7, 60, dtype=torch.float64)
    away = torch.zeros(64, dtype=torch.float64)
    away[1::2] = -1 / 32**0.5
    fake = (real[0].double() + radius * (1 + steps)[:, None] * away).float()
    metric = PrecisionRecall(64, 2, 60, k=1)
    metric.update(real, True)
    metric.update(fake, False)
    inside = (exact_squares(fake, real) <= exact_radii(real, 1)).any(1)
    assert metric.compute()["precision"] == pytest.approx(inside.double().mean().item())
    assert 0.2 < inside.double().mean() < 0.8


def test_coverage_has_no_ties():
    real, fake = lattice(60, 3, 1), lattice(40, 3, 2)
    metric = DensityCoverage(3, 60, 40, k=5)
    metric.update(real, True)
    metric.update(fake, False)
    expected = (exact_squares(fake, real) < exact_radii(real, 5)).any(0).double().mean().item()
    assert metric.compute()["coverage"] == pytest.approx(expected)


def test_copies_have_the_distance_0():
    x = drawn(50, 300) * 10 + 50
    found = nearest(x[:7], x, 2)
    assert found.index[:, 0].tolist() == list(range(7))
    assert found.squares[:, 0].tolist() == [0] * 7
    assert neighbour_squares(torch.cat([x, x]), 1).tolist() == [[0.0]] * 100
