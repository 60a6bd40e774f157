"""Autoregressive models: levels of pixels, exact likelihoods, and samples that follow them."""

import math
from functools import partial
from itertools import product

import pytest
import torch

from gan_lab.models.autoregressive import Autoregressive
from gan_lab.networks.pixelcnn import PixelCNN
from gan_lab.networks.pixelrnn import RowLSTM

ADAM = partial(torch.optim.Adam, lr=1e-3)


def make(network=PixelCNN, levels=2, size=(1, 2, 2)):
    torch.manual_seed(0)
    return Autoregressive(network(*size, levels=levels, maps=8, layers=2, head=8), size, levels, ADAM)


@pytest.mark.parametrize("network", [PixelCNN, RowLSTM])
def test_likelihoods_of_all_binary_images_of_four_pixels_sum_to_one(network):
    images = torch.tensor(list(product([-1.0, 1.0], repeat=4))).view(16, 1, 2, 2)
    assert make(network).log_likelihood(images).double().exp().sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("levels", [2, 5, 31, 200, 255, 256])
def test_values_and_images_convert_both_ways(levels):
    model = make(levels=levels)
    values = torch.arange(levels)
    assert torch.equal(model.to_values(model.to_images(values)), values)
    assert model.to_images(values)[[0, -1]].tolist() == [-1, 1]
    assert model.to_values(torch.tensor([-1.0, 1.0])).tolist() == [0, levels - 1]


def test_the_training_loss_is_the_negative_log_likelihood():
    model, images = make(), torch.ones(3, 1, 2, 2)
    losses = model.losses({"image": images}, {}, None)
    torch.testing.assert_close(losses.total, -model.log_likelihood(images).mean())
    assert losses.logs["bits"].item() == pytest.approx(losses.total.item() / (4 * math.log(2)))


def test_sample_frequencies_match_the_likelihood():
    """All sixteen images, over 4,000 samples: within five standard deviations of a frequency."""
    model, n = make(), 4000
    with torch.no_grad():
        model.ema.networks["network"].head.out.bias.copy_(torch.tensor([0.0, 0.7]))
    samples = (model.sample(n).flatten(1) > 0).long() @ torch.tensor([8, 4, 2, 1])
    frequencies = torch.bincount(samples, minlength=16) / n
    images = torch.tensor(list(product([-1.0, 1.0], repeat=4))).view(16, 1, 2, 2)
    expected = model.log_likelihood(images).exp()
    assert ((frequencies - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt()).all()


def test_truncation_makes_samples_equal():
    model = make(size=(1, 4, 4))
    assert len(model.sample(20, truncation=1e-6).unique(dim=0)) == 1 < len(model.sample(20).unique(dim=0))
