from itertools import pairwise

import pytest
import torch

from gan_lab.networks import dcgan, mlp


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_at_64():
    assert count(dcgan.Generator(100, 3, 64, 64)) == 3_576_704
    assert count(dcgan.Discriminator(3, 64, 64)) == 2_765_568


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (4, 64, 96), (2, 128, 128)])
@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "none"])
def test_any_size_and_channels(shape, norm):
    images = dcgan.Generator(10, *shape, base=4)(torch.randn(2, 10))
    assert images.shape == (2, *shape)
    assert dcgan.Discriminator(*shape, base=4, norm=norm)(images).shape == (2,)


@pytest.mark.parametrize(("size", "works"), [((28, 28), 32), ((48, 48), 64), ((64, 65), 64), ((4, 4), 8)])
def test_an_unsupported_size_raises_with_a_supported_one(size, works):
    with pytest.raises(ValueError, match=rf"data\.size={works} works"):
        dcgan.Generator(10, 3, *size)
    with pytest.raises(ValueError, match="network=mlp takes points"):
        dcgan.Generator(10, 2, 1, 1)


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
