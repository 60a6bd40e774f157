"""Networks that enlarge photographs, of any size. Weights have the names of the published implementations.

Each maps images (N, C, h, w) in [-1, 1] to (N, C, factor · h, factor · w), not clamped. Inside, values are in [0, 1],
as in the published weights. Activations overwrite the outputs of convolutions, which nothing else reads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.networks.resampled_conv import DoubledConv2d

RESIDUAL_SCALE = 0.2
"""Factor of each residual (Wang et al. 2018, section 3.1)."""


class SRResNet(nn.Module):
    """Residual blocks without normalisation, sub-pixel convolutions, and the bilinear image as the starting point.

    Ledig et al. 2017, in the form of BasicSR's MSRResNet: (N, C, h, w) → (N, C, factor · h, factor · w).

    Args:
        channels: C.
        factor: 2, 3 or 4.
        maps: feature maps.
        blocks: residual blocks.

    Raises:
        ValueError: for another factor.
    """

    def __init__(
        self, channels: PositiveInt, factor: PositiveInt = 4, maps: PositiveInt = 64, blocks: PositiveInt = 16
    ):
        super().__init__()
        if factor not in (2, 3, 4):
            raise ValueError(f"factor={factor} is not valid: give 2, 3 or 4.")
        self.factor = factor
        self.conv_first = _conv(channels, maps)
        self.body = nn.Sequential(*(ResidualBlock(maps) for _ in range(blocks)))
        self.upconv1 = _conv(maps, maps * min(factor, 3) ** 2 if factor == 3 else maps * 4)
        self.upconv2 = _conv(maps, maps * 4) if factor == 4 else None
        self.conv_hr, self.conv_last = _conv(maps, maps), _conv(maps, channels)
        for layer in (self.conv_first, self.upconv1, self.upconv2, self.conv_hr, self.conv_last):
            if layer is not None:
                small_init(layer, 0.1 if layer is self.conv_last else 1.0)

    @property
    def receptive_radius(self) -> int:
        """Pixels of the small image, in each direction, that a result depends on."""
        return 2 * len(self.body) + 5

    def forward(self, image: Tensor) -> Tensor:
        x = (image + 1) / 2
        maps = self.body(F.leaky_relu_(self.conv_first(x), 0.1))
        for layer in (self.upconv1, self.upconv2):
            if layer is not None:
                maps = F.leaky_relu_(F.pixel_shuffle(layer(maps), 3 if self.factor == 3 else 2), 0.1)
        base = F.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)
        return (self.conv_last(F.leaky_relu_(self.conv_hr(maps), 0.1)) + base) * 2 - 1


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), for maps (N, maps, H, W)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(maps, maps), _conv(maps, maps)
        for layer in (self.conv1, self.conv2):
            small_init(layer, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu_(self.conv1(x)))


class RRDBNet(nn.Module):
    """Residual-in-residual dense blocks (Wang et al. 2018, "ESRGAN"): (N, C, h, w) → (N, C, factor · h, factor · w).

    It enlarges four times; for smaller factors the image is first rearranged to a half or a quarter of its size, with
    more channels, as Real-ESRGAN does.

    Args:
        channels: C.
        factor: 1, 2 or 4.
        maps: feature maps.
        blocks: RRDBs; the paper's network has 23.
        growth: maps that each layer of a dense block adds.

    Raises:
        ValueError: for another factor.
    """

    def __init__(
        self,
        channels: PositiveInt,
        factor: PositiveInt = 4,
        maps: PositiveInt = 64,
        blocks: PositiveInt = 23,
        growth: PositiveInt = 32,
    ) -> None:
        super().__init__()
        if factor not in (1, 2, 4):
            raise ValueError(f"factor={factor} is not valid: give 1, 2 or 4.")
        self.reduced = 4 // factor
        self.conv_first = _conv(channels * self.reduced**2, maps)
        self.body = nn.Sequential(*(RRDB(maps, growth) for _ in range(blocks)))
        self.conv_body = _conv(maps, maps)
        self.conv_up1, self.conv_up2 = (DoubledConv2d(maps, maps) for _ in range(2))
        self.conv_hr = _conv(maps, maps)
        self.conv_last = _conv(maps, channels)

    @property
    def multiple(self) -> int:
        """Sides of the images must be multiples of it."""
        return self.reduced

    @property
    def receptive_radius(self) -> int:
        """Pixels of the small image, in each direction, that a result depends on."""
        return self.reduced * (15 * len(self.body) + 5)

    def forward(self, image: Tensor) -> Tensor:
        maps = self.conv_first(F.pixel_unshuffle((image + 1) / 2, self.reduced))
        maps = maps + self.conv_body(self.body(maps))
        for layer in (self.conv_up1, self.conv_up2):
            maps = F.leaky_relu_(layer(maps), 0.2)
        return self.conv_last(F.leaky_relu_(self.conv_hr(maps), 0.2)) * 2 - 1


class RRDB(nn.Module):
    """Three dense blocks in a residual, for maps (N, maps, H, W)."""

    def __init__(self, maps: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(maps, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL_SCALE * self.rdb3(self.rdb2(self.rdb1(x)))


class DenseBlock(nn.Module):
    """Five convolutions, each of all results before it, in a residual, for maps (N, maps, H, W)."""

    def __init__(self, maps: int, growth: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3, self.conv4 = (_conv(maps + i * growth, growth) for i in range(4))
        self.conv5 = _conv(maps + 4 * growth, maps)
        for layer in self.children():
            small_init(layer, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        found = [x]
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            found.append(F.leaky_relu_(layer(torch.cat(found, 1)), 0.2))
        return x + RESIDUAL_SCALE * self.conv5(torch.cat(found, 1))


def small_init(layer: nn.Module, scale: PositiveFloat) -> None:
    """Initialises a convolution after He et al. 2015, with smaller weights: the first images are the base's."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    nn.init.kaiming_normal_(layer.weight)
    with torch.no_grad():
        layer.weight *= scale
        layer.bias.zero_()


def _conv(inputs: int, maps: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, maps, 3, 1, 1)
