"""The networks of progressive growing against the table and the equations of the paper."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from gan_lab.networks.equalised import Conv, Linear
from gan_lab.networks.progressive import Discriminator, Down, Generator, Start, doubled, halved, normalised

SIZE = 3, 16, 24
SIDES = [(4, 6), (8, 12), (16, 24)]


def networks():
    torch.manual_seed(0)
    return Generator(5, *SIZE, base=32, most=6), Discriminator(*SIZE, base=32, most=6)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_they_have_the_parameters_of_table_2():
    """Table 2 has 23.1 million for each, with the first or last layer of the highest level alone."""
    with torch.device("meta"):
        generator, discriminator = Generator(512, 3, 1024, 1024), Discriminator(3, 1024, 1024)
    maps = [512, 512, 512, 512, 256, 128, 64, 32, 16]  # at 4, 8, …, 1024 px

    def conv(before, after, side=3):
        return side * side * before * after + after

    up = conv(512, 512, 4) + conv(512, 512) + sum(conv(a, b) + conv(b, b) for a, b in pairwise(maps))
    down = sum(conv(b, b) + conv(b, a) for a, b in pairwise(maps)) + conv(513, 512) + conv(512, 512, 4) + 513
    assert round((up + conv(16, 3, 1)) / 1e6, 1) == round((down + conv(3, 16, 1)) / 1e6, 1) == 23.1
    assert count(generator) == up + sum(conv(each, 3, 1) for each in maps)
    assert count(discriminator) == down + sum(conv(3, each, 1) for each in maps)


@pytest.mark.parametrize(("level", "size"), [*enumerate(SIDES), (0.3, SIDES[1]), (1.999, SIDES[2]), (None, SIDES[2])])
def test_images_have_the_sides_of_the_level(level, size):
    generator, discriminator = networks()
    images = generator(torch.randn(4, 5), level)
    assert images.shape == (4, 3, *size)
    assert discriminator(images, level).shape == (4,)


def test_images_of_a_level_fade_into_those_of_the_next():
    generator, z = networks()[0], torch.randn(4, 5)
    expected = 0.75 * doubled(generator(z, 1)) + 0.25 * generator(z, 2)
    torch.testing.assert_close(generator(z, 1.25), expected)


def test_features_of_coarser_images_fade_into_those_of_finer_ones():
    discriminator, images = networks()[1], torch.randn(4, 3, *SIDES[2])
    coarse = F.leaky_relu(discriminator.enter[1](halved(images)), 0.2)
    fine = discriminator.blocks[1](F.leaky_relu(discriminator.enter[2](images), 0.2))
    x = discriminator.blocks[0](0.75 * coarse + 0.25 * fine)
    x = F.leaky_relu(discriminator.last(discriminator.stddev(x)), 0.2)
    expected = discriminator.out(F.leaky_relu(discriminator.hidden(x.flatten(1)), 0.2)).squeeze(1)
    torch.testing.assert_close(discriminator(images, 1.25), expected)


def test_layers_above_the_level_have_no_gradients():
    for network, x in zip(networks(), (torch.randn(4, 5), torch.randn(4, 3, *SIDES[1])), strict=True):
        network(x, 0.5).square().sum().backward()
        idle = {name for name, parameter in network.named_parameters() if parameter.grad is None}
        assert {name.split(".")[1] for name in idle} == {"1", "2"}
        assert {name.split(".")[0] for name in idle} in ({"blocks", "images"}, {"blocks", "enter"})


def test_the_first_layer_is_a_convolution_of_one_pixel():
    layer, z = Start(5, 6, 4, 4), torch.randn(2, 5)
    torch.nn.init.normal_(layer.bias)
    kernels = layer.weight.view(6, 4, 4, 5).flip(1, 2).permute(0, 3, 1, 2)
    he = (2 / kernels[0].numel()) ** 0.5
    expected = F.conv2d(z[:, :, None, None], he * kernels, layer.bias, padding=3)
    torch.testing.assert_close(layer(z), expected)


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 2, 4)])
def test_normalised_vectors_have_mean_square_1(shape):
    """Section 4.2: b = a / √(mean of a² over the maps + ε)."""
    x = torch.randn(shape, dtype=torch.float64)
    expected = x / ((x**2).sum(1, keepdim=True) / 5 + 1e-8).sqrt()
    torch.testing.assert_close(normalised(x), expected)
    zero = torch.zeros(shape, requires_grad=True)
    normalised(zero).sum().backward()
    assert not normalised(zero).any() and zero.grad.isfinite().all()


def test_resizing_repeats_pixels_and_takes_their_mean():
    x = torch.arange(8.0).view(1, 1, 2, 4)
    assert doubled(x)[0, 0, :2, :4].tolist() == [[0, 0, 1, 1]] * 2
    assert halved(x).flatten().tolist() == [2.5, 4.5]
    torch.testing.assert_close(halved(doubled(doubled(x)), 2), x)


@pytest.mark.parametrize("layer", [Linear(4, 3, gain=5.0, scale_bias=False), Conv(4, 3, 1, 5.0, scale_bias=False)])
def test_a_gain_of_weights_alone_leaves_the_bias(layer):
    torch.nn.init.ones_(layer.bias)
    x = torch.ones(1, 4, 1, 1) if isinstance(layer, Conv) else torch.ones(1, 4)
    torch.testing.assert_close(layer(x).flatten(), 1 + layer.weight.flatten(1).sum(1) * 5 / 2)


def test_second_derivatives_are_exact():
    part, x = Down(2, 3).double(), torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(part, x, atol=1e-4, rtol=1e-3)
