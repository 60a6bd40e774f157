import math

import pytest
import torch
import torch.nn.functional as F

from gan_lab.evaluation.metrics import gaussian_kernel, neighbours
from gan_lab.evaluation.metrics.gaussian_kernel import GaussianKernelDistance


def by_loops(a, b, sigma):
    """The definition, pair by pair."""

    def mean(x, y):
        return sum(math.exp(-float((p - q).square().sum()) / (2 * sigma**2)) for p in x for q in y) / (len(x) * len(y))

    a, b = F.normalize(a.double(), dim=1), F.normalize(b.double(), dim=1)
    return 1000 * (mean(a, a) + mean(b, b) - 2 * mean(a, b))


@pytest.mark.parametrize("sigma", [10.0, 0.7])
def test_it_is_the_definition_in_blocks_of_any_size(monkeypatch, sigma):
    a, b = (torch.randn(n, 6, generator=torch.Generator().manual_seed(n)) + n / 10 for n in (9, 7))
    monkeypatch.setattr(neighbours, "_TILE", 4)
    metric = GaussianKernelDistance(6, 9, 7, sigma)
    metric.update(a, True)
    metric.update(b, False)
    assert metric.compute()["cmmd"] == pytest.approx(by_loops(a, b, sigma), rel=1e-6, abs=2e-6)


@pytest.mark.parametrize("shift", [0, 3, 100])
def test_float32_tiles_have_a_bounded_error(shift):
    random = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(n, 128, generator=random) + shift for n in (600, 400))
    for other in (fake, 1.02 * fake, real.clone()):
        a, b = (F.normalize(side.double(), dim=1) for side in (real, other))
        means = [-torch.expm1(-((2 - 2 * x @ y.T).clamp(min=0)) / 200).mean() for x, y in ((a, b), (a, a), (b, b))]
        exact = 1000 * (2 * means[0] - means[1] - means[2]).item()
        found = GaussianKernelDistance(128, 600, len(other)).compare(real, other)["cmmd"]
        assert found == pytest.approx(exact, rel=1e-6, abs=2e-6)


def test_the_real_side_is_computed_once(monkeypatch):
    counted, compute = [], gaussian_kernel._sum_within
    monkeypatch.setattr(gaussian_kernel, "_sum_within", lambda x, gamma: (counted.append(len(x)), compute(x, gamma))[1])
    real, metric = torch.randn(9, 6), GaussianKernelDistance(6, 9, 7)
    first = [metric.compare(real, torch.randn(n, 6)) for n in (7, 8)]
    assert counted == [9, 7, 8] and len(first) == 2
    GaussianKernelDistance(6, 9, 7, sigma=3.0).compare(real, torch.randn(5, 6))
    assert counted[3:] == [9, 5]
