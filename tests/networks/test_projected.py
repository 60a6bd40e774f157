"""Projected GAN's discriminator: its shapes, what it learns, and its mixtures against a slow form."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_lab.common.errors import UserError
from gan_lab.networks.projected import Discriminator, Mixing


class Pyramid(nn.Module):
    """Maps of a half, a quarter and an eighth of the sides, rounded up."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in [(3, 4), (4, 5), (5, 6)])

    def forward(self, images):
        maps = [images]
        for conv in self.convs:
            maps.append(conv(maps[-1]))
        return maps[1:]


def build(channels=3, height=16, width=16, inputs=(4, 5, 6), **options):
    torch.manual_seed(0)
    return Discriminator(channels, height, width, Pyramid, inputs, mixed=2, maps=3, **options)


@pytest.mark.parametrize(("options", "sides"), [
    ({"height": 32, "width": 64}, (4, 8)), ({"height": 28, "width": 28}, (4, 4)), ({"channels": 1}, (2, 2)),
    ({"enlarge": 2}, (4, 4)),
])  # fmt: skip
def test_each_layer_has_logits_of_the_size_of_the_smallest_maps(options, sides):
    discriminator = build(**options)
    images = torch.randn(2, options.get("channels", 3), options.get("height", 16), options.get("width", 16))
    assert discriminator(images).shape == (2, 3, *sides)


def test_only_heads_learn_and_images_get_gradients():
    discriminator = build()
    images = torch.randn(2, 3, 16, 16, requires_grad=True)
    discriminator(images).square().sum().backward()
    assert images.grad.abs().sum() > 0
    learning = {name for name, each in discriminator.named_parameters() if each.grad is not None}
    assert learning == {name for name, each in discriminator.named_parameters() if name.startswith("heads.")}
    assert {name.split(".")[0] for name in discriminator.state_dict()} == {"mixing", "heads"}
    assert not any(each.requires_grad for each in discriminator.fixed.network.parameters())


def test_mixing_adds_the_enlarged_mixtures_of_smaller_maps():
    torch.manual_seed(0)
    mixing = Mixing([4, 5, 6], 2)
    maps = [torch.randn(2, 4, 7, 8), torch.randn(2, 5, 4, 4), torch.randn(2, 6, 2, 2)]
    first, second, third = (
        torch.einsum("oi,nihw->nohw", layer.weight[:, :, 0, 0], each)
        for layer, each in zip(mixing.channels, maps, strict=True)
    )
    second = (
        second + F.interpolate(F.conv2d(third, mixing.scales[1].weight, padding=1), (4, 4), mode="bilinear")
    ) / 2**0.5
    first = (
        first + F.interpolate(F.conv2d(second, mixing.scales[0].weight, padding=1), (7, 8), mode="bilinear")
    ) / 2**0.5
    for mixed, expected in zip(mixing(maps), (first, second, third), strict=True):
        torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize(("options", "words"), [
    ({"inputs": (4, 6)}, r"has \(4, 5, 6\) maps: give model.discriminator.inputs=\[4, 5, 6\]"),
    ({"channels": 2}, "1 or 3 channels"),
])  # fmt: skip
def test_other_maps_and_channels_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        build(**options)(torch.randn(1, 3, 16, 16))


def test_maps_that_do_not_halve_are_refused():
    discriminator = Discriminator(3, 16, 16, lambda: nn.ModuleList([nn.Identity()]), (3, 3))
    discriminator.fixed.network = lambda images: [images, images]
    with pytest.raises(UserError, match="do not halve"):
        discriminator(torch.randn(1, 3, 16, 16))


def test_labels_are_refused():
    with pytest.raises(ValueError, match="conditional=false"):
        build(classes=3)
