import math

import pytest
import torch
import torch.nn.functional as F

from gan_lab.evaluation.metrics import gaussian_kernel
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
    monkeypatch.setattr(gaussian_kernel, "ROWS", 4)
    metric = GaussianKernelDistance(6, 9, 7, sigma)
    metric.update(a, True)
    metric.update(b, False)
    assert metric.compute()["cmmd"] == pytest.approx(by_loops(a, b, sigma), rel=1e-6)
