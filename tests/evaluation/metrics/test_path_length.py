"""Path lengths of generators whose length is known."""

import numpy as np
import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.perceptual import PerceptualDistance
from gan_lab.evaluation.metrics.path_length import PathLength
from gan_lab.evaluation.model_metric import EvalOptions
from gan_lab.inference.interpolation import slerp


class Linear:
    """Images that are the latents themselves, times a factor."""

    device = torch.device("cpu")
    num_labels = 0

    def __init__(self, factor=1.0):
        self.factor, self.asked = factor, []

    def latents(self, n, seed=0, start=0, truncation=1.0):
        self.asked += range(start, start + n)
        each = [torch.randn(12, generator=torch.Generator().manual_seed(1000 * seed + i)) for i in self.asked[-n:]]
        return torch.stack(each)

    def decode(self, latents, label=None):
        return self.factor * latents.view(-1, 3, 2, 2)


class Squared(PerceptualDistance):
    name, sha256 = "squared", ""

    def forward(self, a, b):
        return (a - b).square().sum((1, 2, 3))


def measured(model, n=200, batch_size=64):
    metric = PathLength(n, Squared(), epsilon=1e-3)
    assert metric.applies_to(model, None)
    metric.update(model, None, EvalOptions(batch_size=batch_size, progress=False))
    found = metric.compute()
    metric.reset()
    metric.update(model, None, EvalOptions(batch_size=n, progress=False))
    assert metric.compute() == pytest.approx(found, rel=1e-3)
    return found["path_length_squared"], found["path_length_squared.error"]


def test_the_length_on_an_arc_is_that_of_the_arc():
    """A step of ε along a great arc of radius r and angle a is ε r a long, and its square over ε² is (r a)²."""
    model = Linear()
    a, b = model.latents(200), model.latents(200, start=200)
    near, far = slerp(a, b, 0.5), slerp(a, b, 0.501)
    expected = ((far - near) / 1e-3).square().sum(1)
    low, high = (np.percentile(expected, p, method=m) for p, m in ((1, "lower"), (99, "higher")))
    expected = expected[(expected >= low) & (expected <= high)].mean().item()
    length, error = measured(Linear())
    assert length == pytest.approx(expected, rel=0.05)
    assert 0 < error < 0.1 * expected


def test_twice_the_contrast_is_four_times_the_length():
    assert measured(Linear(2))[0] == pytest.approx(4 * measured(Linear())[0], rel=1e-3)


def test_the_batch_does_not_matter_and_no_latent_comes_twice():
    model = Linear()
    assert measured(model, batch_size=7) == pytest.approx(measured(Linear()), rel=1e-3)
    assert sorted(model.asked) == sorted([*range(400)] * 2)


def test_one_path_has_no_error():
    with pytest.raises(UserError, match="2 paths"):
        PathLength(1)
