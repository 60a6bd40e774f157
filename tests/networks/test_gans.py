"""The networks of GANs, and wrappers of a discriminator: sizes, published counts, closed forms."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from gan_lab.cli.config.resolvers import attention_size
from gan_lab.networks import biggan, dcgan, mlp, r3gan, sngan, stylegan2
from gan_lab.networks.minibatch_stddev import MinibatchStddev, minibatch_stddev
from gan_lab.networks.spectral import spectral_norm
from gan_lab.training.ema import EMA

FAMILIES = {
    "dcgan": (dcgan, {"base": 4}),
    "mlp": (mlp, {"widths": (8, 8)}),
    "resnet": (sngan, {"base": 4}),
    "r3gan": (r3gan, {"widths": 16}),
    "biggan": (biggan, {"base": 4}),
    "stylegan2": (stylegan2, {"base": 64, "most": 8}),
}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def residual(before, after, skip):
    """The number of parameters of two 3×3 convolutions and, with a skip, a 1×1."""
    return 9 * before * after + 9 * after * after + 2 * after + skip * (before * after + after)


def test_sngan_at_32():
    """Miyato et al. 2018, table 4: a dense layer, three blocks of 256 maps; four of 128, two of which halve."""
    norms = 3 * 2 * 2 * 256 + 2 * 256
    assert count(sngan.Generator(128, 3, 32, 32)) == 129 * 4096 + 3 * residual(256, 256, 1) + norms + 9 * 256 * 3 + 3
    blocks = residual(3, 128, 1) + residual(128, 128, 1) + 2 * residual(128, 128, 0)
    assert count(sngan.Discriminator(3, 32, 32)) == blocks + 129


def test_sngan_at_64_and_128():
    """Miyato et al. 2018, tables 5 and 6, without labels: five blocks that halve the size, and at 128 px one more."""
    maps = [64, 128, 256, 512, 1024]
    halving = residual(3, 64, 1) + sum(residual(a, b, 1) for a, b in pairwise(maps))
    assert count(sngan.Discriminator(3, 64, 64)) == halving + 1025
    assert count(sngan.Discriminator(3, 128, 128)) == halving + residual(1024, 1024, 0) + 1025


def test_conditional_norms_start_as_ordinary_norms_and_have_no_spectral_norm():
    generator = spectral_norm(sngan.Generator(8, 3, 16, 16, base=4, classes=3))
    norms = [layer for layer in generator.modules() if isinstance(layer, sngan.ConditionalNorm)]
    assert norms and all(not norm.gains.any() and not norm.norm.affine for norm in norms)


def test_r3gan_for_cifar_10():
    """Huang et al. 2024, table 5: about 20.8 and 21.3 million."""
    assert count(r3gan.Generator(64, 3, 32, 32, classes=10)) == 20_781_952
    assert count(r3gan.Discriminator(3, 32, 32, classes=10)) == 21_280_512


@pytest.mark.parametrize("classes", [0, 5])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16), (2, 32, 48), (3, 64, 64)])
@pytest.mark.parametrize("family", FAMILIES)
def test_any_size_channels_and_classes(family, shape, classes):
    networks, narrow = FAMILIES[family]
    labels = [torch.tensor([0, 4])] if classes else []
    images = networks.Generator(10, *shape, classes=classes, **narrow)(torch.randn(2, 10), *labels)
    assert images.shape == (2, *shape)
    discriminator = networks.Discriminator(*shape, classes=classes, **narrow)
    assert discriminator(images, *labels).shape == (2,)
    if not classes:
        features = discriminator.features(images)
        assert features.flatten(1).shape == (2, discriminator.width)
        torch.testing.assert_close(discriminator.logits(features), discriminator(images))


@pytest.mark.parametrize("family", FAMILIES)
def test_both_networks_depend_on_the_label(family):
    networks, narrow = FAMILIES[family]
    torch.manual_seed(0)
    generator = networks.Generator(10, 3, 16, 16, classes=3, **narrow)
    discriminator = networks.Discriminator(3, 16, 16, classes=3, **narrow)
    for network in (generator, discriminator):  # some parameters of which start at zero
        for parameter in (each for each in network.parameters() if not each.any()):
            nn.init.normal_(parameter, 0, 0.3)
    latents, labels = torch.randn(3, 10), torch.arange(3)
    images = generator(latents, labels)
    assert not torch.allclose(images, generator(latents, labels.flip(0)))
    assert not torch.allclose(discriminator(images, labels), discriminator(images, labels.roll(1)))


@pytest.mark.parametrize("side", [8, 16, 32, 64, 128])
def test_both_networks_have_sagans_attention_at_any_size(side):
    at = attention_size("auto", [side, side])
    networks = (
        sngan.Generator(4, 3, side, side, base=2, attention=at),
        sngan.Discriminator(3, side, side, 2, attention=at),
    )
    for network in networks:
        assert sum(isinstance(layer, sngan.Attention) for layer in network.modules()) == 1


def test_residual_blocks_start_with_gain_sqrt_2_and_other_layers_with_1():
    generator = sngan.Generator(128, 3, 32, 32, base=32)
    discriminator = sngan.Discriminator(3, 32, 32, base=32)
    convs = [
        (generator.blocks[0].convs[0], 2),
        (discriminator.blocks[0].convs[1], 2),
        (generator.out, 1),
        (generator.dense, 1),
    ]
    for layer, square in [*convs, (generator.blocks[0].skip, 1)]:
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        assert layer.weight.var().item() * (fan_in + fan_out) / 2 == pytest.approx(square, rel=0.06)
        assert not layer.bias.any()


def test_attention_at_a_size_without_maps_is_refused():
    with pytest.raises(ValueError, match="attention=5 is not valid"):
        sngan.Generator(4, 3, 16, 16, base=2, attention=5)


def test_attention_is_a_weighted_mean_of_values():
    torch.manual_seed(0)
    layer = sngan.Attention(8)
    x = torch.randn(2, 8, 4, 6)
    assert torch.equal(layer(x), x)  # at the start
    nn.init.ones_(layer.gain)
    query, key, value = (part(x) for part in (layer.query, layer.key, layer.value))
    key, value = (nn.functional.max_pool2d(part, 2).flatten(2) for part in (key, value))
    place = query[1, :, 2, 3] @ key[1]
    seen = (value[1] * torch.softmax(place, 0)).sum(1)
    expected = x[1, :, 2, 3] + layer.out.weight[:, :, 0, 0] @ seen
    torch.testing.assert_close(layer(x)[1, :, 2, 3], expected)


@pytest.mark.parametrize(("side", "maps"), [(64, [128, 64, 32, 16, 16]), (28, [64, 32, 16]), (24, [80, 32, 16])])
def test_r3gan_has_maps_by_the_side_in_whole_groups(side, maps):
    assert r3gan.maps_per_size(128, side, side, 512) == maps
    assert r3gan.maps_per_size(128, side, side, None) == [128] * len(maps)
    assert r3gan.maps_per_size(maps, side, side, 512) == maps


def test_r3gans_blocks_start_as_the_identity_with_the_stated_variances():
    torch.manual_seed(0)
    block = r3gan.Block(64, 16, count=8)
    x = torch.randn(2, 64, 4, 4)
    assert torch.equal(block(x), x)
    gain = math.sqrt(2 / 1.04) * 8**-0.25
    assert block.enter.weight.std().item() == pytest.approx(gain / 8, rel=0.05)
    assert block.mix.weight.std().item() == pytest.approx(gain / 12, rel=0.05)
    assert block.mix.groups == 8


def test_resampling_keeps_constants_and_is_inverted_on_a_slope():
    flat = torch.full((1, 4, 8, 8), 0.7)
    for layer in (r3gan.Up(4, 4), r3gan.Down(4, 4)):
        assert layer(flat)[:, :, 2:-2, 2:-2] == pytest.approx(0.7)
    slope = torch.arange(16.0).expand(1, 4, 16, 16)
    back = r3gan.Down(4, 4)(r3gan.Up(4, 4)(slope))
    torch.testing.assert_close(back[:, :, 3:-3, 3:-3], slope[:, :, 3:-3, 3:-3])


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_spectral_norm_is_one_for_every_layer_live_and_averaged(precision):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 6, 4), nn.Linear(6, 5), nn.Embedding(7, 5)]
    network = spectral_norm(nn.ModuleList(layers))
    ema = EMA({"network": network}, half_life=100)
    for step in range(50):
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name.endswith("original"):
                    parameter.add_(0.005 * torch.randn_like(parameter))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            for layer in layers:
                assert layer.weight.dtype == torch.float32
        ema.update({"network": network}, 10, 10_000 + step)
    for each in (layers, ema.networks["network"]):
        for layer, outputs in zip(each, (0, 1, 0, 0), strict=True):
            norm = torch.linalg.matrix_norm(layer.weight.movedim(outputs, 0).flatten(1), 2)
            assert norm.item() == pytest.approx(1, abs=0.03)


def test_each_sample_gets_the_standard_deviation_of_its_group():
    features = torch.tensor([[0.0, 0.0], [1.0, 5.0], [2.0, 4.0], [1.0, 5.0]])
    # Groups of samples 0, 2 and 1, 3: deviations (1, 2) and (0, 0).
    extended = MinibatchStddev(2)(features)
    assert extended[:, :2].equal(features)
    assert extended[:, 2].tolist() == pytest.approx([1.5, 0, 1.5, 0], abs=1e-3)
    assert MinibatchStddev(3)(features.view(4, 2, 1, 1)).shape == (4, 3, 1, 1)


def test_wrappers_that_have_nothing_to_do_are_refused():
    discriminator = stylegan2.Discriminator(3, 16, 16, 64, 8)
    with pytest.raises(ValueError, match="torch's own layers"):
        spectral_norm(discriminator)
    with pytest.raises(TypeError, match="of its own"):
        minibatch_stddev(discriminator)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "stylegan2"])
def test_any_discriminator_takes_both_wrappers(family):
    networks, narrow = FAMILIES[family]
    discriminator = minibatch_stddev(networks.Discriminator(3, 16, 16, **narrow), group=2)
    if family == "r3gan":
        with pytest.raises(ValueError, match="start at zero"):
            spectral_norm(discriminator)
    else:
        discriminator = spectral_norm(discriminator)
    images = torch.randn(4, 3, 16, 16)
    logits = discriminator(images)
    assert logits.shape == (4,)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in discriminator.parameters())
