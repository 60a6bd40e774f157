"""SPADE's networks: the published counts of parameters, and modulation by the label map."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.networks import spade
from gan_lab.networks.patchgan import MultiscaleDiscriminator
from gan_lab.networks.spade import Block, Encoder, Generator, Scale


def count(*networks):
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


@pytest.fixture
def only_shapes(monkeypatch):
    """Networks without numbers, which spectral norm needs; it has no parameters."""
    monkeypatch.setattr(spade, "spectral_norm", lambda layer: layer)
    with torch.device("meta"):
        yield


def label_maps(n=2, classes=5, height=32, width=32, cell=4):
    ids = torch.randint(0, classes, (n, height // cell, width // cell), generator=torch.Generator().manual_seed(0))
    ids = ids.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    return F.one_hot(ids, classes).permute(0, 3, 1, 2).float()


def small(**options):
    torch.manual_seed(0)
    return Generator(**{"channels": 5, "filters": 4, "upsamplings": 3, "hidden": 6, "size": 32, **options})


@pytest.mark.parametrize(
    ("channels", "upsamplings", "parameters"),
    [(36, 6, 93_048_003), (151, 5, 96_492_483), (151, 7, 97_412_579), (184, 5, 97_480_899)],
    ids=["cityscapes", "ade20k", "ade20k with a block more", "coco"],
)
def test_generators_have_the_published_counts_of_parameters(channels, upsamplings, parameters, only_shapes):
    """93.0, 96.5 and 97.5 million in table 1; the exact numbers are those of the published code."""
    assert count(Generator(channels, upsamplings=upsamplings)) == parameters


@pytest.mark.parametrize(("channels", "parameters"), [(36, 5_601_410), (151, 5_836_930), (184, 5_904_514)])
def test_discriminators_have_the_published_counts_of_parameters(channels, parameters):
    assert count(MultiscaleDiscriminator(channels + 3, spectral=True)) == parameters


def test_the_encoder_and_the_first_maps_of_a_style_have_the_published_counts(only_shapes):
    network = Generator(151, style=256, size=256)
    assert count(network.encoder) == count(Encoder()) == 10_463_424
    assert count(network) - count(network.encoder) == 111_942_595


@pytest.mark.parametrize("upsamplings", [1, 2, 4, 6, 7])
@pytest.mark.parametrize("style", [0, 3])
def test_images_have_the_size_of_the_label_maps(upsamplings, style):
    network = small(upsamplings=upsamplings, style=style, size=(128, 256), filters=2)
    for height, width in ((128, 256), (256, 128)):
        assert network(label_maps(2, 5, height, width)).shape == (2, 3, height, width)


def test_a_block_computes_figure_10_a():
    """Slowly: nearest neighbour, instance norm, factors and offsets from the map at each size."""
    torch.manual_seed(0)
    block = Block(6, 4, 1, 5, 7, nn.InstanceNorm2d).eval()
    for parameter in block.parameters():
        nn.init.normal_(parameter, 0, 0.2)
    x, labels = torch.randn(2, 6, 8, 8), label_maps(2, 5, 16, 16)

    def modulated(maps, layer):
        normal = (maps - maps.mean((2, 3), keepdim=True)) / (maps.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt()
        hidden = F.relu(layer.embed(labels))
        factor, offset = (
            F.conv2d(hidden, weight, bias, padding=1)
            for weight, bias in zip(layer.factors.weight.chunk(2), layer.factors.bias.chunk(2), strict=True)
        )
        return normal * factor + offset

    large = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    y = block.conv(F.leaky_relu(modulated(large, block.modulate), 0.2))
    y = block.last(F.leaky_relu(modulated(y, block.modulate_middle), 0.2))
    expected = block.skip(modulated(large, block.modulate_skip)) + y
    torch.testing.assert_close(block(x, Scale(labels, None)), expected, atol=1e-5, rtol=1e-4)


def test_modulation_begins_near_the_normalised_maps():
    layer = small().blocks[0].modulate
    normal = torch.randn(1, 16, 8, 8)
    scale = Scale(label_maps(1, 5, 8, 8), None)
    torch.testing.assert_close(layer(normal, scale), normal, atol=0.02, rtol=0.02)


def test_each_size_gets_the_nearest_pixels_of_the_map():
    network, labels = small(), label_maps(cell=1)
    for scale, side in zip(network._pyramid(labels), (4, 8, 16, 32), strict=True):
        assert torch.equal(scale.labels, F.interpolate(labels, (side, side), mode="nearest"))


def test_a_style_changes_the_image_and_no_style_is_the_mean():
    network, labels = small(style=3).eval(), label_maps()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    styles = torch.randn(2, 3)
    with torch.no_grad():
        assert (network(labels, styles) - network(labels)).abs().max() > 1e-2
        torch.testing.assert_close(network(labels), network(labels, torch.zeros(2, 3)))


def test_convolutions_of_blocks_have_spectral_norm_and_modulations_none():
    network = small()
    named = {name for name, layer in network.named_modules() if hasattr(layer, "parametrizations")}
    assert {name.split(".")[2] for name in named} == {"conv", "last", "skip"}
    assert all(f"blocks.{number}.conv" in named for number in range(len(network.blocks)))


def test_a_norm_that_does_not_exist_and_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="choose one of batch, instance"):
        Generator(norm="layer")
    with pytest.raises(UserError, match="multiples of 32"):
        Generator.check_data({"size": [48, 64]})
