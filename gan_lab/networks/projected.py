"""The discriminator of Projected GANs: heads on the maps of a network that is not trained.

Sauer et al. 2021, "Projected GANs Converge Faster".
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.fixed_network import FixedNetwork
from gan_lab.networks.layers import make_norm
from gan_lab.networks.spectral import spectral_norm

SLOPE = 0.2


class Mixing(nn.Module):
    """Random projections of maps that stay as they are (section 3.2), from the smallest maps to the largest.

    A 1×1 convolution mixes the channels of each layer. The result is enlarged to the size of the maps before, where
    their own mixture is added, and a 3×3 convolution mixes both.

    Args:
        inputs: feature maps of each layer, the largest maps first.
        width: mixed maps of the first layer; each later layer has twice as many.
    """

    def __init__(self, inputs: Sequence[PositiveInt], width: PositiveInt) -> None:
        super().__init__()
        self.widths = [width << number for number in range(len(inputs))]
        self.channels = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in zip(inputs, self.widths, strict=True))
        self.scales = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1, bias=False) for a, b in pairwise(self.widths))
        for layer in (*self.channels, *self.scales):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")  # type: ignore[arg-type]
        self.requires_grad_(False)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps a list of (N, inputs, h, w) to one of (N, widths, h, w)."""
        mixed = [layer(each) for layer, each in zip(self.channels, maps, strict=True)]
        for number in range(len(mixed) - 2, -1, -1):
            across = self.scales[number](mixed[number + 1])
            across = F.interpolate(across, mixed[number].shape[2:], mode="bilinear")
            mixed[number] = (mixed[number] + across) / 2**0.5
        return mixed


class Head(nn.Sequential):
    """Maps mixed maps (N, inputs, h, w) to logits (N, 1, h / 2^times, w / 2^times), the sides rounded up.

    Args:
        inputs: feature maps.
        maps: feature maps after each halving.
        times: halvings; without one, a 3×3 convolution is in their place.
        norm: see ``make_norm``.
    """

    def __init__(self, inputs: int, maps: int, times: int, norm: str) -> None:
        sizes = [(3, 2)] * times or [(3, 1)]
        layers: list[nn.Module] = []
        for before, (side, stride) in zip([inputs, *[maps] * len(sizes)], sizes, strict=False):
            conv = nn.Conv2d(before, maps, side, stride, side // 2, bias=False)
            layers += [conv, make_norm(norm, maps), nn.LeakyReLU(SLOPE, inplace=True)]
        super().__init__(*layers, nn.Conv2d(maps, 1, 3, padding=1, bias=False))


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) to logits (N, L, h, w), one map for each of L layers of a fixed network.

    The random projections and the heads are the weights of this network. The fixed network is built when it is first
    called, and is no part of it.

    Args:
        channels: C, 1 or 3.
        height, width: size of the images.
        features: function that returns the fixed network: images (N, 3, H, W) in [-1, 1] → a list of maps, the largest
            first. The sides of each are half of those before, rounded up.
        inputs: feature maps of each of its layers.
        enlarge: factor by which images are enlarged for the fixed network.
        mixed: feature maps of the first layer after mixing; each later layer has twice as many.
        maps: feature maps in the heads.
        norm: in the heads, see ``make_norm``.
        classes: 0; the heads take no labels.

    Raises:
        UserError: for images that are neither grey nor in colour, and, once it is called, for a fixed network with
            other maps.
        ValueError: for another norm, and for classes.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        features: Callable[[], nn.Module],
        inputs: Sequence[PositiveInt],
        enlarge: PositiveInt = 1,
        mixed: PositiveInt = 64,
        maps: PositiveInt = 256,
        norm: str = "batch",
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        if classes:
            raise ValueError("Heads on fixed features take no labels: give conditional=false, or another network.")
        if channels not in (1, 3):
            raise UserError("Fixed features are those of images with 1 or 3 channels: choose another network=.")
        self.fixed, self.inputs = FixedNetwork(features), tuple(inputs)
        self.size = (enlarge * height, enlarge * width)
        self.mixing = Mixing(inputs, mixed)
        depths = range(len(inputs) - 1, -1, -1)  # all logits have the sides of the smallest maps
        self.heads = nn.ModuleList(
            spectral_norm(Head(each, maps, times, norm)) for each, times in zip(self.mixing.widths, depths, strict=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        mixed = self.mixing(self.features(images))
        return torch.cat([head(each) for head, each in zip(self.heads, mixed, strict=True)], 1)

    def features(self, images: Tensor) -> list[Tensor]:
        """Maps images (N, C, H, W) to the maps of the fixed network."""
        images = images.expand(-1, 3, -1, -1)
        if images.shape[2:] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear")
        maps: list[Tensor] = self.fixed(images)
        if (widths := tuple(each.shape[1] for each in maps)) != self.inputs:
            raise UserError(f"The fixed network has {widths} maps: give model.discriminator.inputs={[*widths]}.")
        if not all(_halve(a.shape[2:], b.shape[2:]) for a, b in pairwise(maps)):
            sizes = [tuple(each.shape[2:]) for each in maps]
            raise UserError(f"Maps of {sizes} do not halve from layer to layer: choose other layers, or larger images.")
        return maps


def _halve(before: Sequence[int], after: Sequence[int]) -> bool:
    """Says whether sides of at least 2 px are halved: in bfloat16, strided convolutions of 1 px learn at random."""
    return all(a > 1 and b == -(-a // 2) for a, b in zip(before, after, strict=True))
