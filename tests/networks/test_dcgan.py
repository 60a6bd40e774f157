from itertools import pairwise

import pytest
import torch

from gan_lab.networks import dcgan, mlp, r3gan, sngan
from gan_lab.networks.layers import num_downsamplings


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_at_64():
    assert count(dcgan.Generator(100, 3, 64, 64)) == 3_576_704
    assert count(dcgan.Discriminator(3, 64, 64)) == 2_765_568


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 40, 56), (1, 48, 48), (4, 64, 96), (3, 96, 96), (2, 128, 128)]
)
@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "none"])
def test_any_size_and_channels(shape, norm):
    images = dcgan.Generator(10, *shape, base=4)(torch.randn(2, 10))
    assert images.shape == (2, *shape)
    assert dcgan.Discriminator(*shape, base=4, norm=norm)(images).shape == (2,)


@pytest.mark.parametrize(("size", "works"), [((30, 30), 28), ((100, 100), 96), ((64, 65), 64), ((4, 4), 8)])
def test_an_unsupported_size_raises_with_a_supported_one(size, works):
    with pytest.raises(ValueError, match=rf"data\.size={works} works"):
        dcgan.Generator(10, 3, *size)
    with pytest.raises(ValueError, match="network=mlp takes points"):
        dcgan.Generator(10, 2, 1, 1)


@pytest.mark.parametrize(
    ("side", "smallest", "times"), [(8, 4, 1), (28, 7, 2), (48, 6, 3), (64, 4, 4), (96, 6, 4), (128, 4, 5)]
)
def test_the_first_layer_has_4_to_7_px(side, smallest, times):
    assert num_downsamplings(side, side) == times
    assert dcgan.Generator(10, 1, side, side, base=1).layers[0].kernel_size == (smallest, smallest)


@pytest.mark.parametrize("side", [24, 28, 48, 96])
def test_residual_networks_and_r3gan_take_the_same_sizes(side):
    images = sngan.Generator(8, 1, side, side, base=2)(torch.randn(2, 8))
    assert images.shape == (2, 1, side, side) and sngan.Discriminator(1, side, side, base=2)(images).shape == (2,)
    images = r3gan.Generator(8, 1, side, side, widths=8, group=4)(torch.randn(2, 8))
    assert images.shape == (2, 1, side, side)
    assert r3gan.Discriminator(1, side, side, widths=8, group=4)(images).shape == (2,)


def test_a_discriminator_without_norms_has_biases():
    plain = dcgan.Discriminator(3, 64, 64, norm="none")
    assert sum(p.numel() for p in plain.parameters() if p.ndim == 1) == 64 + 128 + 256 + 512 + 1


def test_initialisation():
    weights = torch.cat([p.flatten() for name, p in dcgan.Generator(100, 3, 64, 64).named_parameters() if p.ndim == 4])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    assert weights.mean().item() == pytest.approx(0, abs=1e-4)


def test_mlp_widths():
    """100-128-256-512-1024-784 with batch norm, and 784-512-256-1."""
    widths = [100, 128, 256, 512, 1024]
    hidden = sum((a + 1) * b + 2 * b for a, b in pairwise(widths))
    assert count(mlp.Generator(100, 1, 28, 28)) == hidden + 1025 * 784
    assert count(mlp.Discriminator(1, 28, 28)) == 785 * 512 + 513 * 256 + 257
    assert mlp.Generator(100, 3, 8, 12)(torch.randn(2, 100)).shape == (2, 3, 8, 12)
