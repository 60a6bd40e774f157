"""The networks of StarGAN, StarGAN v2 and MUNIT. Parameters were counted in the published code."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.networks import munit, stargan, starganv2
from gan_lab.networks.instance_norm import styled_instance_norm

SIZE = 3, 256, 256
UNUSED_SHORTCUTS = 256 * 512 + 128 * 256 + 64 * 128
"""Kernels that the published generator with the high-pass skip has, and never applies."""


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: starganv2.Generator(*SIZE), 33_892_995),
        (lambda: starganv2.Generator(*SIZE, high_pass=1), 43_467_395 - UNUSED_SHORTCUTS),
        (lambda: starganv2.MappingNetwork(16, 2), 2_438_272),
        (lambda: starganv2.MappingNetwork(16, 3), 3_259_072),
        (lambda: starganv2.StyleEncoder(*SIZE, 2), 20_916_928),
        (lambda: starganv2.StyleEncoder(*SIZE, 3), 20_949_760),
        (lambda: starganv2.Discriminator(*SIZE, 2), 20_852_290),
        (lambda: starganv2.Discriminator(*SIZE, 3), 20_852_803),
        (lambda: stargan.Generator(3, 5), 8_430_528),
        (lambda: stargan.Discriminator(3, 128, 128, 5), 44_762_048),
        (munit.Autoencoder, 15_026_187),
        (munit.Discriminator, 8_271_171),
    ],
)
def test_parameters_at_the_papers_settings(make, expected):
    with torch.device("meta"):
        assert count(make()) == expected


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_styled_maps_have_the_styles_means_and_deviations(kind, layout):
    torch.manual_seed(0)
    x = (3 + 2 * torch.randn(2, 4, 16, 16)).to(kind).to(memory_format=layout)
    weight, bias = torch.rand(2, 4) + 0.5, torch.randn(2, 4)
    out = styled_instance_norm(x, weight, bias)
    assert out.dtype == kind and out.is_contiguous(memory_format=layout)
    exact = kind == torch.float32
    torch.testing.assert_close(out.float().mean((2, 3)), bias, atol=1e-5 if exact else 1e-2, rtol=0)
    torch.testing.assert_close(out.float().std((2, 3), correction=0), weight, atol=1e-4 if exact else 1e-2, rtol=0)


def small(**options):
    torch.manual_seed(0)
    return starganv2.Generator(3, 64, 64, style=4, base=256, most=16, **options)


def test_an_encoding_serves_several_styles():
    generator, images, styles = small(), torch.randn(2, 3, 64, 64), torch.randn(2, 2, 4)
    maps, skips = generator.encode(images)
    assert maps.shape[2:] == (16, 16) and not skips and generator.multiple == 4
    for each in styles:
        torch.testing.assert_close(generator.decode(maps, skips, each), generator(images, each))
    assert not torch.allclose(generator(images, styles[0]), generator(images, styles[1]))


def test_high_frequencies_skip_where_the_masks_are_one():
    """A filtered constant is 0; a mask of halves halves what skips; at 32 px the first mask counts."""
    generator, x = small(high_pass=2.0), torch.randn(1, 4, 32, 32)
    taps = torch.tensor([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]])[None, None] / 2
    expected = torch.cat([F.conv2d(each, taps, padding=1) for each in x.split(1, 1)], 1)
    torch.testing.assert_close(generator._high_frequencies(x, None), expected)
    half, none = torch.full((1, 1, 8, 8), 0.5), torch.zeros(1, 1, 8, 8)
    torch.testing.assert_close(generator._high_frequencies(x, (half, none)), expected / 2)
    assert not generator._high_frequencies(F.interpolate(x, (64, 64)), (half, none)).any()
    assert generator._high_frequencies(torch.ones(1, 4, 32, 32), None)[:, :, 1:-1, 1:-1].abs().max() < 1e-5
    maps, skips = generator.encode(torch.randn(1, 3, 64, 64))
    assert maps.shape[2:] == (8, 8) and [*skips] == [64, 32]


def test_weights_are_drawn_after_he():
    network = starganv2.StyleEncoder(3, 16, 16, 2, base=512, most=64)
    first, head = network.shared[1].conv1, network.heads[0]
    assert first.weight.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.05)
    assert head.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.1)
    assert not any(layer.bias.any() for layer in (first, head))


def test_each_row_takes_the_head_of_its_domain():
    heads = nn.ModuleList(nn.Linear(4, 2) for _ in range(3))
    x, domains = torch.randn(4, 4), torch.tensor([2, 0, 0, 1])
    expected = torch.stack([heads[k](row) for row, k in zip(x, domains, strict=True)])
    torch.testing.assert_close(starganv2.of_domain(heads, x, domains), expected)
    discriminator = starganv2.Discriminator(3, 16, 16, 3, base=64, most=8)
    images = torch.randn(4, 3, 16, 16)
    every = torch.cat([discriminator(images, torch.full((4,), k)) for k in range(3)], 1)
    torch.testing.assert_close(discriminator(images, domains), every.gather(1, domains[:, None]))


def test_stargans_generator_depends_on_the_code():
    torch.manual_seed(0)
    generator, images = stargan.Generator(3, 2, 4, 1), torch.randn(2, 3, 16, 16)
    one, other = (generator(images, torch.eye(2)[[k, k]]) for k in range(2))
    assert one.shape == images.shape and one.abs().max() <= 1 and (one - other).abs().max() > 1e-3
    logits, classes = stargan.Discriminator(3, 16, 32, 5, 4, layers=3)(torch.randn(2, 3, 16, 32))
    assert logits.shape == (2, 1, 2, 4) and classes.shape == (2, 5)


def test_sizes_that_do_not_halve_are_refused():
    with pytest.raises(UserError, match=r"data\.size=48"):
        starganv2.Generator.check_data({"size": 50})
    with pytest.raises(UserError, match=r"model\.discriminator\.layers=6"):
        stargan.Discriminator.check_data({"size": 96})
    with pytest.raises(UserError, match="at least 16"):
        munit.Autoencoder.check_data({"size": 12})
    with pytest.raises(UserError, match="at least 64 px"):
        munit.Discriminator.check_data({"size": 32})
    with pytest.raises(UserError, match="multiples of 4"):
        stargan.Generator.check_data({"size": 30})
