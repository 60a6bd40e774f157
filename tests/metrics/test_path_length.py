"""Path lengths of generators whose length is known."""

import pytest
import torch

from gan_lab.editing.interpolation import slerp
from gan_lab.metrics.path_length import PathLength


class Linear:
    """Pictures that are the latents themselves, times a factor."""

    device = torch.device("cpu")
    kinds = 0

    def __init__(self, factor=1.0):
        self.factor, self.asked = factor, []

    def latents(self, n, seed=0, start=0, truncation=1.0):
        self.asked += range(start, start + n)
        each = [torch.randn(12, generator=torch.Generator().manual_seed(1000 * seed + i)) for i in self.asked[-n:]]
        return torch.stack(each)

    def decode(self, latents, label=None):
        return self.factor * latents.view(-1, 3, 2, 2)


def squared(a, b):
    return (a - b).square().sum((1, 2, 3))


def measured(model, n=200, batch_size=64):
    probe = PathLength(n, squared, epsilon=1e-3)
    assert probe.suits(model, None)
    probe.update(model, None, 0, batch_size, False)
    return probe.compute()


def test_on_an_arc_the_length_is_the_arcs():
    """A step of ε along a great arc of radius r and angle a is ε r a long, and its square over ε² is (r a)²."""
    model = Linear()
    a, b = model.latents(200), model.latents(200, start=200)
    near, far = slerp(a, b, 0.5), slerp(a, b, 0.501)
    expected = ((far - near) / 1e-3).square().sum(1)
    low, high = expected.quantile(0.01), expected.quantile(0.99)
    expected = expected[(expected >= low) & (expected <= high)].mean().item()
    found = measured(Linear())
    assert found["path_length"] == pytest.approx(expected, rel=0.05)
    assert 0 < found["path_length.error"] < 0.1 * expected


def test_twice_the_contrast_is_four_times_the_length():
    assert measured(Linear(2))["path_length"] == pytest.approx(4 * measured(Linear())["path_length"], rel=1e-3)


def test_the_batch_does_not_matter_and_no_latent_comes_twice():
    model = Linear()
    assert measured(model, batch_size=7)["path_length"] == pytest.approx(measured(Linear())["path_length"], rel=1e-3)
    assert sorted(model.asked) == list(range(400))
