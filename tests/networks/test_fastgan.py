"""FastGAN's networks, against the paper's shapes and slow forms of its layers."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.networks.fastgan import Discriminator, Excitation, Generator, Layer

MAPS = {4: 1024, 8: 512, 16: 256, 32: 128, 64: 128, 128: 64, 256: 32, 512: 16, 1024: 8}
"""The generator's feature maps by their side, with base 64."""
EXCITED = {64: 4, 128: 8, 256: 16, 512: 32}


def layer(before, after):
    """Parameters of a convolution to twice as many maps, for the gates, and of its batch norm."""
    return 18 * before * after + 4 * after


def norm_act(before, after, side):
    return side**2 * before * after + 2 * after


def decoder(before):
    maps = [before, 128, 64, 64, 32]
    return sum(layer(a, b) for a, b in pairwise(maps)) + 27 * maps[-1]


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("side", [64, 256, 1024])
def test_the_generator_has_the_papers_layers(side):
    """Section 3.1 and figure 3: two layers with a strength of noise at 8, 32, 128 and 512 px, one at other sizes."""
    with torch.device("meta"):
        generator = Generator(256, 3, side, side)
    sides = [each for each in MAPS if each <= side]
    expected = 256 * 2 * 1024 * 16 + 4 * 1024 + 27 * MAPS[side]
    for a, b in pairwise(sides):
        expected += layer(MAPS[a], MAPS[b])
        expected += layer(MAPS[b], MAPS[b]) + 2 if b in (8, 32, 128, 512) else 0
        expected += 16 * MAPS[EXCITED[b]] * MAPS[b] + MAPS[b] ** 2 if b in EXCITED else 0
    assert count(generator) == expected
    assert generator.noise_sizes == [(b, b) for b in (8, 32, 128, 512) if b <= side for _ in range(2)]


@pytest.mark.parametrize(
    ("side", "first"), [(64, 27 * 64), (256, 27 * 16), (512, 48 * 16), (1024, 48 * 8 + norm_act(8, 16, 4))]
)
def test_the_discriminator_has_the_papers_layers(side, first):
    """Section 3.2 and figure 4: one convolution or two, and residual blocks from 256 px at most to 8 px."""
    with torch.device("meta"):
        discriminator = Discriminator(3, side, side)
    maps = [4096 // size for size in (256, 128, 64, 32, 16, 8) if size <= side]
    blocks = [norm_act(a, b, 4) + norm_act(b, b, 3) + norm_act(a, b, 1) for a, b in pairwise(maps)]
    head = norm_act(512, 1024, 1) + 16 * 1024
    decoders = count(discriminator.decode_part), count(discriminator.decode_whole)
    assert count(discriminator) == first + sum(blocks) + head + sum(decoders)
    assert side == 64 or decoders == (decoder(256), decoder(512))


@pytest.mark.parametrize(("size", "logits", "decoded"), [
    ((16, 16), (5, 5), (16, 16)), ((32, 32), (5, 5), (16, 16)), ((64, 64), (5, 5), (32, 32)),
    ((28, 56), (11, 25), (28, 56)), ((96, 64), (9, 5), (48, 32)), ((256, 256), (5, 5), (128, 128)),
    ((512, 512), (5, 5), (128, 128)),
])  # fmt: skip
def test_any_size_has_maps_of_16_and_8_px_to_reconstruct_from(size, logits, decoded):
    generator, discriminator = Generator(5, 2, *size, base=2), Discriminator(2, *size, base=1)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, 2, *size) and images.abs().max() <= 1
    assert discriminator(images).shape == (2, 1, *logits)
    f1, f2 = discriminator.maps(images)
    assert min(f1.shape[2:]) in range(16, 32) and min(f2.shape[2:]) in range(8, 16)
    assert f2[0].numel() == discriminator.width
    assert discriminator.decode_whole(f2).shape == (2, 2, *decoded)
    assert discriminator.decode_part(f1[:, :, : f2.shape[2], : f2.shape[3]]).shape == (2, 2, *decoded)


def test_an_excitation_scales_each_map_by_a_function_of_the_small_ones():
    """Section 3.1, eq. 2, with averages over cells of 2×3 px."""
    torch.manual_seed(0)
    own, small, large = Excitation(3, 5), torch.randn(2, 3, 8, 12), torch.randn(2, 5, 6, 4)
    cells = small.view(2, 3, 4, 2, 4, 3).mean((3, 5))
    hidden = F.leaky_relu(torch.einsum("nchw,ochw->no", cells, own.factors[1].weight), 0.2)
    factors = torch.sigmoid(hidden @ own.factors[3].weight[:, :, 0, 0].T)
    torch.testing.assert_close(own(small, large), large * factors[:, :, None, None])


def test_noise_is_added_to_all_maps_before_the_norm_and_half_of_them_are_gates():
    torch.manual_seed(0)
    own, x, noise = Layer(3, 4, (6, 8)).eval(), torch.randn(2, 3, 6, 8), torch.randn(2, 1, 6, 8)
    nn.init.constant_(own.strength, 0.7)
    own.norm.running_var.uniform_(0.5, 2)
    for given, used in ((noise, noise), (None, own.noise)):
        expected = F.glu(own.norm(own.conv(x) + 0.7 * used), 1)
        torch.testing.assert_close(own(x, given), expected)


def test_every_noise_reaches_the_image():
    torch.manual_seed(0)
    generator, z = Generator(4, 1, 32, 32, base=2).eval(), torch.randn(1, 4)
    for strength in (each for name, each in generator.named_parameters() if name.endswith("strength")):
        nn.init.ones_(strength)
    noise = [torch.randn(1, 1, *size) for size in generator.noise_sizes]
    image = generator(z, noise)
    for i, own in enumerate(noise):
        changed = [*noise[:i], own.neg(), *noise[i + 1 :]]
        assert not torch.allclose(generator(z, changed), image), i


def test_second_derivatives_are_exact_with_layer_norm():
    """As loss=wgan_gp has it; without a norm they are 0."""
    torch.manual_seed(0)
    discriminator = Discriminator(1, 16, 16, base=1, norm="layer").double()
    for parameter in discriminator.parameters():  # so that no derivative is lost in rounding
        nn.init.normal_(parameter, 0, 0.5)
    images = torch.randn(1, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: discriminator(x).sum(), images, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((3, 8, 8), "of 16 to 1,792 px, not 8×8"), ((3, 2048, 2048), "not 2048×2048"), ((3, 20, 30), "halve down to 4")],
)
def test_other_sizes_are_refused(arguments, message):
    for build in (lambda *size: Generator(4, *size), Discriminator):
        with pytest.raises(ValueError, match=message):
            build(*arguments)


def test_labels_are_refused():
    with pytest.raises(ValueError, match="take no labels"):
        Generator(4, 3, 16, 16, classes=2)
    with pytest.raises(ValueError, match="take no labels"):
        Discriminator(3, 16, 16, classes=2)
