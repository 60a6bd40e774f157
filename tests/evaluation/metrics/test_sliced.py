import pytest
import torch
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from gan_lab.evaluation.metrics.sliced import (
    PatchDistance,
    SlicedDistance,
    laplacian_pyramid,
    squared_transport,
    unit_directions,
)
from gan_lab.evaluation.statistics import NotApplicableError


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(n, side=32, seed=0, low=60, high=180):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (n, 3, side, side), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("m", "n"), [(6, 6), (6, 4), (7, 3)])
def test_transport_is_the_cheapest_plan(m, n):
    a, b = drawn(2, m, seed=1), drawn(2, n, seed=2) * 2 + 1
    rows = [[float(i == k // n) for k in range(m * n)] for i in range(m)]
    columns = [[float(j == k % n) for k in range(m * n)] for j in range(n)]
    for row, found in enumerate(squared_transport(a, b).tolist()):
        cost = (a[row, :, None] - b[row, None, :]).square().flatten()
        plan = linprog(cost.numpy(), A_eq=rows + columns, b_eq=[1 / m] * m + [1 / n] * n)
        assert found == pytest.approx(plan.fun, rel=1e-7)


def test_a_shift_of_features_has_a_closed_form():
    x, shift = drawn(50, 5).float(), torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0])
    metric = SlicedDistance(5, 50, 50, directions=2000)
    metric.update(x, True)
    metric.update(x + shift, False)
    exact = 3 * 5 * (shift @ unit_directions(5, 2000, 0)).square().mean().item()
    assert metric.compute()["mind"] == pytest.approx(exact, rel=1e-5)
    assert exact == pytest.approx(3 * shift.square().sum().item(), rel=0.05)  # the mean over the sphere is |δ|² / d


def test_equal_moments_do_not_hide_other_distributions():
    x = drawn(4000, 1).float()
    two = torch.where(x > 0, 1.0, -1.0)
    two = (two - two.mean()) / two.std() * x.std() + x.mean()
    metric = SlicedDistance(1, 4000, 4000, directions=1)
    metric.update(x, True)
    metric.update(two, False)
    assert metric.compute()["mind"] > 0.5  # the Fréchet distance is 0


def test_a_brighter_image_moves_the_coarsest_level_alone():
    images = pictures(20)
    metric = PatchDistance((3, 32, 32), directions=16)
    metric.update(images, True)
    metric.update(images + 20, False)
    found = metric.compute()
    sums = metric.real.kernels[1].sum((1, 2, 3)).abs()
    assert found["swd.32"] == pytest.approx(0, abs=1e-6)
    assert found["swd.16"] == pytest.approx(20 * sums.mean().item(), rel=0.02)  # bins are two levels wide
    assert found["swd"] == pytest.approx((found["swd.16"] + found["swd.32"]) / 2)


def test_histograms_are_the_projected_patches():
    a, b = pictures(6, seed=1), pictures(6, seed=2, high=250)
    metric = PatchDistance((3, 32, 32), directions=4)
    metric.update(a, True)
    metric.update(b, False)
    gaps = []
    for kernel in metric.real.kernels[0]:
        sides = [
            (laplacian_pyramid(side.float(), 2)[0].unfold(2, 7, 3).unfold(3, 7, 3) * kernel[:, None, None])
            .sum((1, 4, 5))
            .flatten()
            for side in (a, b)
        ]
        gaps.append(wasserstein_distance(*sides))
    assert metric.compute()["swd.32"] == pytest.approx(sum(gaps) / 4, rel=0.02, abs=0.2)


def test_the_pyramid_adds_up_to_the_image():
    images = drawn(2, 3, 32, 24)
    fine, middle, coarse = laplacian_pyramid(images, 3)
    up = torch.nn.functional.interpolate
    rebuilt = middle + up(coarse, middle.shape[2:], mode="bilinear")
    torch.testing.assert_close(fine + up(rebuilt, fine.shape[2:], mode="bilinear"), images)


@pytest.mark.parametrize("shape", [(3, 6, 6), (1, 28, 4)])
def test_images_smaller_than_a_patch_are_left_out(shape):
    with pytest.raises(NotApplicableError, match=f"at least 7 px, and these have {min(shape[1:])}"):
        PatchDistance(shape)
    PatchDistance((3, 7, 7)).update(torch.zeros(1, 3, 7, 7, dtype=torch.uint8), True)
