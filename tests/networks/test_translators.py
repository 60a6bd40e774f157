"""Generators and discriminators of translation: the papers' parameter counts, shapes, and fixed filters."""

import pytest
import torch
import torch.nn.functional as F

from gan_lab.networks import patchgan, resnet, unet
from gan_lab.networks.layers import Dropout


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_are_the_papers():
    assert count(resnet.Generator()) == 11_378_179
    assert count(unet.Generator()) == 54_413_955
    assert count(patchgan.Discriminator()) == 2_764_737
    assert count(patchgan.Discriminator(6, norm="batch")) == 2_768_705


@pytest.mark.parametrize("antialias", [False, True])
def test_residual_generators_keep_the_size(antialias):
    network = resnet.Generator(1, 3, filters=4, blocks=1, antialias=antialias)
    assert network(torch.zeros(2, 1, 24, 36)).shape == (2, 3, 24, 36)


def test_u_nets_keep_the_size():
    assert unet.Generator(11, 1, filters=2, num_downsamplings=4)(torch.zeros(1, 11, 16, 48)).shape == (1, 1, 16, 48)


def test_u_nets_have_dropout_around_the_innermost_scale_only():
    assert [any(isinstance(m, Dropout) for m in up) for up in unet.Generator(filters=2).up] == [
        *[False] * 4, *[True] * 3, False,
    ]  # fmt: skip


@pytest.mark.parametrize(("layers", "window"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_depends_on_its_window(layers, window):
    """The gradient of one logit reaches exactly a square of that side."""
    network = patchgan.Discriminator(1, filters=2, layers=layers, norm="none")
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.1)  # so that no weights cancel each other
    image = torch.ones(1, 1, 128, 128, requires_grad=True)
    logits = network(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    rows, columns = image.grad[0, 0].nonzero().T
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == window


def test_features_are_the_outputs_of_the_layers():
    network = resnet.Generator(filters=4, blocks=5, antialias=True)
    image, indices = torch.randn(1, 3, 32, 32), [0, 4, 8, 12, 16]
    features = network.features(image, indices)
    assert [maps.shape[1] for maps in features] == network.feature_channels(indices, 3) == [3, 8, 16, 16, 16]
    for number, maps in zip(indices, features, strict=True):
        torch.testing.assert_close(maps, network.layers[: number + 1](image))


def test_blurring_keeps_constants_and_removes_alternating_stripes():
    flat = torch.full((1, 2, 8, 8), 0.7)
    torch.testing.assert_close(resnet.BlurDown(2)(flat), flat[:, :, ::2, ::2])
    torch.testing.assert_close(resnet.BlurUp(2)(flat), F.interpolate(flat, scale_factor=2.0))
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 1, 8, 8)
    assert resnet.BlurDown(1)(stripes).abs().max() < 1e-6


def test_upsampling_interpolates():
    """Between neighbours x and y the filter [1 3 3 1] gives ¾x + ¼y and ¼x + ¾y."""
    row = torch.tensor([0.0, 4.0, 8.0]).expand(1, 1, 3, 3)
    assert resnet.BlurUp(1)(row)[0, 0, 2].tolist() == [0.0, 1.0, 3.0, 5.0, 7.0, 8.0]


def test_dropout_repeats_its_mask_in_any_layout():
    drop, ones = Dropout(0.25).eval(), torch.ones(2, 8, 5, 5)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        drop.generator = torch.Generator().manual_seed(0)
        found.append(drop(ones.to(memory_format=layout)))
    assert torch.equal(*found)
    assert 0.65 < (found[0] > 0).float().mean() < 0.85
    torch.testing.assert_close(found[0].max(), torch.tensor(4 / 3))
    drop.generator = None
    assert torch.equal(drop(ones), ones)
