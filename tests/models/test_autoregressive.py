"""Pixels as values and back; a likelihood that is one."""

import math
from functools import partial
from itertools import product

import pytest
import torch

from gan_lab.models.autoregressive import Autoregressive
from gan_lab.networks.pixelcnn import PixelCNN
from gan_lab.networks.pixelrnn import RowLSTM

ADAM = partial(torch.optim.Adam, lr=1e-3)


def made(network=PixelCNN, levels=2, size=(1, 2, 2)):
    torch.manual_seed(0)
    return Autoregressive(network(*size, levels=levels, maps=8, layers=2, head=8), size, levels, ADAM)


@pytest.mark.parametrize("network", [PixelCNN, RowLSTM])
def test_the_likelihoods_of_all_two_coloured_pictures_of_four_pixels_sum_to_one(network):
    pictures = torch.tensor(list(product([-1.0, 1.0], repeat=4))).view(16, 1, 2, 2)
    assert made(network).log_likelihood(pictures).double().exp().sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("levels", [2, 5, 31, 200, 255, 256])
def test_values_stand_for_levels_and_come_back(levels):
    model = made(levels=levels)
    values = torch.arange(levels)
    assert torch.equal(model.to_values(model.to_images(values)), values)
    assert model.to_images(values)[[0, -1]].tolist() == [-1, 1]
    assert model.to_values(torch.tensor([-1.0, 1.0])).tolist() == [0, levels - 1]


def test_the_training_term_is_the_likelihood():
    model, pictures = made(), torch.ones(3, 1, 2, 2)
    losses = model.losses({"image": pictures}, {}, None)
    torch.testing.assert_close(losses.total, -model.log_likelihood(pictures).mean())
    assert losses.logs["bits"].item() == pytest.approx(losses.total.item() / (4 * math.log(2)))


def test_samples_come_as_often_as_the_likelihood_says():
    """All sixteen pictures, over 4,000 samples: within five deviations of a share."""
    model, n = made(), 4000
    with torch.no_grad():
        model.ema.networks["network"].head.out.bias.copy_(torch.tensor([0.0, 0.7]))
    samples = (model.sample(n).flatten(1) > 0).long() @ torch.tensor([8, 4, 2, 1])
    found = torch.bincount(samples, minlength=16) / n
    pictures = torch.tensor(list(product([-1.0, 1.0], repeat=4))).view(16, 1, 2, 2)
    expected = model.log_likelihood(pictures).exp()
    assert ((found - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt()).all()


def test_truncation_leads_to_what_is_most_likely():
    model = made(size=(1, 4, 4))
    assert len(model.sample(20, truncation=1e-6).unique(dim=0)) == 1 < len(model.sample(20).unique(dim=0))
