import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from gan_lab.common.errors import UserError
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.metrics.frechet import (
    FeatureMoments,
    FrechetDistance,
    GroupedMoments,
    covariance_factor,
    frechet_distance,
    frechet_distance_of_moments,
)
from gan_lab.evaluation.metrics.frechet_ratio import FrechetRatio
from gan_lab.evaluation.statistics import NotApplicableError


def reference(real, fake):
    statistics = [fid_features_to_statistics(x.double()) for x in (real, fake)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def measured(real, fake):
    metric = FrechetDistance(real.shape[1])
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute()["fd"]


def drawn(n, dim, seed):
    random = torch.Generator().manual_seed(seed)
    mix = torch.randn(dim, dim, generator=random)
    return torch.randn(n, dim, generator=random) @ mix + torch.randn(dim, generator=random)


def test_one_dimension_is_the_closed_form():
    # (μa - μb)² + (σa - σb)²
    assert frechet_distance_of_moments(*map(torch.tensor, ([1.0], [[4.0]], [3.0], [[25.0]]))) == pytest.approx(
        4 + 9, rel=1e-12
    )


def test_commuting_covariances_are_the_closed_form():
    a, b = torch.tensor([1.0, 4.0, 0.0, 9.0]), torch.tensor([16.0, 1.0, 2.0, 0.0])
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).double()).Q
    rotate = lambda values: rotation @ values.double().diag() @ rotation.T  # noqa: E731
    mean = torch.tensor([0.5, 0.0, -2.0, 1.0]).double()
    expected = mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    assert frechet_distance_of_moments(mean, rotate(a), 0 * mean, rotate(b)) == pytest.approx(expected.item(), rel=1e-9)


def test_non_commuting_covariances_of_two_dimensions_are_the_closed_form():
    # For 2 × 2 matrices tr M^½ = (tr M + 2 (det M)^½)^½.
    a, b = torch.tensor([[2.0, 0.3], [0.3, 1.0]]).double(), torch.tensor([[1.0, -0.7], [-0.7, 3.0]]).double()
    product = a @ b
    root = (product.trace() + 2 * product.det().sqrt()).sqrt()
    expected = (a.trace() + b.trace() - 2 * root).item()
    assert frechet_distance_of_moments(torch.zeros(2), a, torch.zeros(2), b) == pytest.approx(expected, rel=1e-12)


def test_equal_sides_have_distance_zero():
    x = drawn(50, 100, 0)
    assert measured(x, x) < 1e-9 * x.var(0).sum().item()


def test_the_distance_to_a_constant_side_is_the_variance():
    x = drawn(50, 6, 1).double()
    still = x[:1].expand(50, 6)
    expected = (x.mean(0) - x[0]).square().sum() + x.var(0).sum()
    assert measured(still, x) == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize(("n", "dim"), [(400, 64), (40, 96)], ids=["N > d", "N < d"])
def test_equals_torch_fidelity(n, dim):
    real, fake = drawn(n, dim, 1), drawn(n + 7, dim, 2)
    assert measured(real, fake) == pytest.approx(reference(real, fake), rel=1e-6)


@pytest.mark.parametrize(("m", "n"), [(70, 50), (70, 300), (300, 50)], ids=["both", "the real", "the fake"])
def test_sides_with_fewer_images_than_dimensions_are_kept_whole(m, n):
    real, fake = drawn(m, 96, 1), drawn(n, 96, 2)
    metric = FrechetDistance(96, m, n)
    assert [isinstance(side, FeatureTable) for side in (metric.real, metric.fake)] == [m < 96, n < 96]
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert metric.compute()["fd"] == pytest.approx(measured(real, fake), rel=1e-9)
    assert metric.compute()["fd"] == pytest.approx(reference(real, fake), rel=1e-5)


def test_the_factor_is_stored_with_the_moments():
    x = drawn(50, 6, 3)
    first, again = FeatureMoments(6, with_factor=True), FeatureMoments(6, with_factor=True)
    first.update(x)
    again.load_states(first.merged_states())
    assert torch.equal(again.compute().factor, first.compute().factor)
    torch.testing.assert_close(again.compute().factor.T @ again.compute().factor, first.compute().covariance)


def test_groups_have_their_own_moments_and_add_up():
    x, member = drawn(60, 5, 4), torch.arange(60) * 7 % 3
    metric = GroupedMoments(5, member, 3)
    for rows in torch.arange(60).flip(0).split(11):
        metric.update(x[rows], rows)
    parts = metric.compute()
    for group, part in enumerate(parts):
        np.testing.assert_allclose(part.moments().covariance, np.cov(x[member == group].double().numpy().T), rtol=1e-9)
    whole = (parts[0] + parts[1] + parts[2]).moments()
    np.testing.assert_allclose(whole.covariance, np.cov(x.double().numpy().T), rtol=1e-9)
    without = (parts[0] + parts[1] - parts[1]).moments()
    np.testing.assert_allclose(without.mean, parts[0].moments().mean, rtol=1e-9)


def test_any_batches_give_the_same_moments_as_numpy():
    x = drawn(101, 12, 3) + 50
    metric = FeatureMoments(12)
    for rows in x.split(7):
        metric.update(rows)
    moments = metric.compute()
    assert moments.count == 101
    np.testing.assert_allclose(moments.mean, x.double().mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(x.double().numpy(), rowvar=False), rtol=1e-9, atol=1e-10)


def test_two_metrics_merge_into_one():
    real, fake = drawn(101, 12, 4), drawn(101, 12, 5)
    whole, one, two = FrechetDistance(12), FrechetDistance(12), FrechetDistance(12)
    for metric, rows in ((whole, slice(None)), (one, slice(40)), (two, slice(40, None))):
        metric.update(real[rows], real=True)
        metric.update(fake[rows], real=False)
    for mine, its in ((one.real, two.real), (one.fake, two.fake)):
        mine.merge_state(its)
    assert one.compute() == pytest.approx(whole.compute(), rel=1e-9)


def test_a_factor_reproduces_the_covariance():
    covariance = torch.cov(drawn(20, 30, 6).double().T)
    factor = covariance_factor(covariance)
    assert factor.shape == (19, 30)
    torch.testing.assert_close(factor.T @ factor, covariance)


def test_reset_forgets_both_sides():
    metric = FrechetDistance(3)
    metric.update(drawn(9, 3, 7), real=True)
    metric.update(drawn(9, 3, 8), real=False)
    metric.reset()
    assert metric.real.count == metric.fake.count == 0


def test_one_image_has_no_covariance():
    metric = FeatureMoments(3)
    metric.update(torch.ones(1, 3))
    with pytest.raises(UserError, match="at least 2 images"):
        metric.compute()


@pytest.mark.parametrize("dim", [80, 8], ids=["fewer than dimensions", "more"])
def test_the_ratio_takes_as_many_samples_as_there_are_held_out_images(dim):
    real, fake = drawn(90, dim, 1), drawn(70, dim, 2)
    metric = FrechetRatio(dim, 90, held_out=60)
    metric.update(real, True)
    for rows in torch.arange(70).flip(0).split(9):
        metric.update(fake[rows], False, rows)
    assert metric.compute()["fdr"] == pytest.approx(reference(real, fake[:60]), rel=1e-6)


@pytest.mark.parametrize(
    ("held_out", "said"), [(None, "there are no held-out"), (49, "at least 50 held-out .* has 49")]
)
def test_the_ratio_of_few_held_out_images_is_left_out(held_out, said):
    with pytest.raises(NotApplicableError, match=said):
        FrechetRatio(8, 70, held_out)


def test_features_of_many_points_are_the_distance_of_their_moments():
    real, fake = drawn(900, 8, 1), drawn(700, 8, 2)
    assert frechet_distance(real, fake) == pytest.approx(measured(real, fake), rel=1e-9)
