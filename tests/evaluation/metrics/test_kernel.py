import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric
from torchmetrics.image.kid import poly_mmd

from gan_lab.evaluation.metrics import kernel
from gan_lab.evaluation.metrics.kernel import KernelDistance, kernel_distance
from gan_lab.evaluation.statistics import NotApplicableError


def drawn(n, dim=8, seed=0, shift=0.0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def by_loops(a, b):
    """The definition, pair by pair."""
    k = lambda x, y: (float(x @ y) / len(x) + 1) ** 3  # noqa: E731
    within = [
        sum(k(x, y) for i, x in enumerate(side) for j, y in enumerate(side) if i != j) / (len(side) * (len(side) - 1))
        for side in (a, b)
    ]
    return sum(within) - 2 * sum(k(x, y) for x in a for y in b) / (len(a) * len(b))


def without(x, i):
    return torch.cat([x[:i], x[i + 1 :]])


def test_equals_torchmetrics_and_torch_fidelity():
    a, b = drawn(40, seed=1), drawn(40, seed=2, shift=0.3)
    found = kernel_distance(a, b).value
    assert found == pytest.approx(poly_mmd(a, b).item(), rel=1e-10)
    theirs = kid_features_to_metric(
        a, b, kid_subsets=1, kid_subset_size=40, kid_kernel="poly", kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, verbose=False, rng_seed=0,
    )  # fmt: skip
    assert found == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-6)


@pytest.mark.parametrize("n", [60, 30], ids=["as published", "few images"])
def test_subsets_equal_torch_fidelity_and_shrink_with_the_sets(n):
    real, fake = drawn(70, seed=1).float(), drawn(n, seed=2, shift=0.3).float()
    metric = KernelDistance(8, 70, n, subsets=9, size=40)
    metric.update(real, True)
    metric.update(fake, False)
    found = metric.compute()
    theirs = kid_features_to_metric(
        fake.double(), real.double(), kid_subsets=9, kid_subset_size=min(40, n), kid_kernel="poly", rng_seed=2020,
        kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, verbose=False,
    )  # fmt: skip
    assert found["kd"] == pytest.approx(theirs[KEY_METRIC_KID_MEAN], abs=1e-6)
    assert found["kd.std"] == pytest.approx(theirs[KEY_METRIC_KID_STD], abs=1e-6)


def test_unequal_sides_and_the_error_are_the_definitions():
    a, b = drawn(5, 3, 1), drawn(7, 3, 2, 0.5)
    found = kernel_distance(a.float(), b.float())
    assert found.value == pytest.approx(by_loops(a, b), rel=1e-5)
    parts = [[by_loops(without(a, i), b) for i in range(5)], [by_loops(a, without(b, i)) for i in range(7)]]
    expected = sum((len(part) - 1) * np.var(part) for part in parts) ** 0.5
    assert found.error == pytest.approx(expected, rel=1e-5)


def test_two_points_are_the_closed_form():
    a, b = torch.full((4, 2), 1.0), torch.full((6, 2), -2.0)
    # k(a, a) = 2³, k(b, b) = 5³, k(a, b) = (-1)³
    assert kernel_distance(a, b) == kernel.Estimate(pytest.approx(8 + 125 + 2), pytest.approx(0, abs=1e-9))


def test_blocks_do_not_matter(monkeypatch):
    a, b = drawn(50, seed=1), drawn(33, seed=2, shift=0.2)
    whole = kernel_distance(a, b)
    monkeypatch.setattr(kernel, "_ROWS", 7)
    parts = kernel_distance(a, b)
    assert (parts.value, parts.error) == pytest.approx((whole.value, whole.error), rel=1e-9)


def test_it_is_unbiased_and_its_error_is_that_of_repeated_draws():
    estimates = [kernel_distance(drawn(60, 4, 2 * i, 0.4), drawn(80, 4, 2 * i + 1)) for i in range(200)]
    values = np.array([estimate.value for estimate in estimates])
    exact = kernel_distance(drawn(3000, 4, 1001, 0.4), drawn(3000, 4, 1002))
    assert values.mean() == pytest.approx(exact.value, abs=4 * (values.std() / 200**0.5 + exact.error))
    assert np.mean([estimate.error for estimate in estimates]) == pytest.approx(values.std(), rel=0.2)


def test_two_images_are_not_applicable():
    with pytest.raises(NotApplicableError, match="at least 3 images on each side, and there are 2 and 9"):
        KernelDistance(4, 2, 9)


@pytest.mark.parametrize("dim", [16, 608])
@pytest.mark.parametrize(
    "change",
    [lambda x: x, lambda x: x.relu() + 0.3, lambda x: x + 10, lambda x: x * torch.linspace(0.01, 3, x.shape[1])],
)
def test_float32_has_a_bound(dim, change):
    a, b = change(drawn(2500, dim, 1).float()), change(drawn(2000, dim, 2, 0.02).float())
    found, exact = kernel_distance(a, b), kernel_distance(a.double(), b.double())
    size = ((a.double() @ b.double().T / dim + 1) ** 3).abs().mean().item()
    assert abs(found.value - exact.value) < min(1e-7 * size, 0.01 * exact.error)
    assert found.error == pytest.approx(exact.error, rel=1e-3)


def test_an_outlier_does_not_hide_the_others():
    a, b = drawn(300, 8, 1).float(), drawn(200, 8, 2).float()
    a[0] = 300
    assert kernel_distance(a, b).value == pytest.approx(kernel_distance(a.double(), b.double()).value, rel=1e-5)
