"""Metrics of nearest neighbours against the reference, and against their definitions point by point."""

import pytest
import torch
from torch_fidelity.metric_prc import calculate_precision_recall_full

from gan_lab.evaluation.metrics import neighbours
from gan_lab.evaluation.metrics.precision_recall import Authenticity, DensityCoverage, PrecisionRecall, nearest, realism
from gan_lab.evaluation.statistics import NotApplicableError


def drawn(n, dim=6, seed=0, shift=0.0, scale=1.0):
    return scale * torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)) + shift


def measured(kind, real, fake, **options):
    metric = kind(real.shape[1], len(real), len(fake), **options)
    for side, features in ((True, real), (False, fake)):
        for rows in torch.arange(len(features)).flip(0).split(17):
            metric.update(features[rows], side, rows)
    return metric.compute()


def apart(a, b):
    return (a.double()[:, None] - b.double()[None]).norm(dim=2)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_equal_torch_fidelity(k):
    real, fake = drawn(211), drawn(157, seed=1, shift=0.4, scale=0.8)
    found = measured(PrecisionRecall, real, fake, k=k)
    assert (found["precision"], found["recall"]) == pytest.approx(calculate_precision_recall_full(fake, real, k))
    assert 0.2 < found["recall"] < found["precision"] < 1


def test_density_and_coverage_follow_their_definitions():
    real, fake, k = drawn(90), drawn(70, seed=1, shift=0.3), 5
    radii = apart(real, real).sort().values[:, k]
    inside = apart(fake, real) < radii
    found = measured(DensityCoverage, real, fake, k=k)
    assert found["density"] == pytest.approx(inside.double().sum().item() / (k * len(fake)))
    assert found["coverage"] == pytest.approx(inside.any(0).double().mean().item())


def test_density_and_coverage_of_the_same_distribution_are_their_expectations():
    """Naeem et al. 2020, section 3.3: one, and 1 - (N - 1) … (N - k) / ((2N - 1) … (2N - k))."""
    found = measured(DensityCoverage, drawn(1500, 64), drawn(1500, 64, seed=1), k=5)
    expected = 1 - torch.tensor([(1500 - i) / (3000 - i) for i in range(1, 6)]).prod().item()
    assert found["density"] == pytest.approx(1, abs=0.06)
    assert found["coverage"] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("dim", [6, 64])
def test_copies_lie_on_the_balls_of_their_neighbours_and_not_inside(dim):
    """Each real image has k - 1 neighbours inside its ball, and itself; the k-th is on its surface."""
    real = drawn(300, dim, shift=3.0)
    assert measured(DensityCoverage, real, real.clone(), k=5) == {"density": 1.0, "coverage": 1.0}


@pytest.mark.parametrize("pairs", [neighbours._PAIRS, 70])
def test_ties_are_counted_exactly(monkeypatch, pairs):
    monkeypatch.setattr(neighbours, "_PAIRS", pairs)
    real, fake = (drawn(50, 6, seed).mul(2).round() for seed in (0, 1))  # whole numbers have many equal distances
    squares = [(a.double()[:, None] - b.double()[None]).square().sum(2) for a, b in ((real, real), (fake, real))]
    inside = squares[1] < squares[0].sort().values[:, 5]
    found = measured(DensityCoverage, real, fake, k=5)
    assert found["density"] == inside.sum().item() / (5 * 50)
    assert found["coverage"] == inside.any(0).double().mean().item()


def test_copies_are_found():
    real = drawn(120)
    fake = torch.cat([drawn(60, seed=1), real[:40] + 1e-3])
    near, own = apart(fake, real).min(1), apart(real, real).fill_diagonal_(torch.inf).min(1).values
    found = measured(Authenticity, real, fake)["authenticity"]
    assert found == pytest.approx((near.values > own[near.indices]).double().mean().item())
    assert found < 0.5


def test_the_nearest_are_found_in_order():
    points, others = drawn(30, seed=2), drawn(50)
    found, expected = nearest(points, others, 4), apart(points, others).sort()
    assert found.index.tolist() == expected.indices[:, :4].tolist()
    torch.testing.assert_close(found.squares.sqrt().double(), expected.values[:, :4], rtol=1e-4, atol=1e-4)


def test_realism_follows_its_definition_and_falls_with_the_distance():
    real, fake, k = drawn(80), torch.stack([torch.full((6,), shift) for shift in (0.0, 2.0, 5.0)]), 3
    radii = apart(real, real).sort().values[:, k]
    kept = radii <= radii.median()
    expected = (radii[kept] / apart(fake, real[kept])).max(1).values
    torch.testing.assert_close(realism(real, fake, k).double(), expected, rtol=1e-4, atol=0)
    assert expected[0] > expected[1] > expected[2]


def test_blocks_do_not_matter(monkeypatch):
    real, fake = drawn(60), drawn(45, seed=1)
    parts = PrecisionRecall, DensityCoverage, Authenticity
    whole = [measured(part, real, fake) for part in parts]
    monkeypatch.setattr(neighbours, "_MAX_ENTRIES", 7 * 60)
    monkeypatch.setattr(neighbours, "_TILE", 7)
    assert [measured(part, real, fake) for part in parts] == whole


def test_features_far_from_zero_keep_their_neighbours():
    real, fake = drawn(100), drawn(100, seed=1)
    assert measured(PrecisionRecall, real + 1000, fake + 1000) == measured(PrecisionRecall, real, fake)


def test_too_few_images_are_not_applicable():
    with pytest.raises(NotApplicableError, match="need 6 images, but there are 5"):
        DensityCoverage(4, 5, 100)
