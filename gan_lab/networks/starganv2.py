"""The networks of StarGAN v2 (Choi et al. 2020, appendix A)."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import NonNegative, PositiveInt
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.networks.instance_norm import InstanceNorm2d, styled_instance_norm
from gan_lab.networks.layers import init_he, num_downsamplings
from gan_lab.networks.resampled_conv import DoubledConv2d, PooledConv2d

SKIPPED = (32, 64, 128)
"""Heights of the maps that high frequencies skip the bottleneck at, as in the published code."""
Skips = dict[int, Tensor]
"""Maps (N, C, H, W) of the encoding half, by their height."""


class Generator(nn.Module):
    """Maps images (N, C, H, W) and styles (N, S) to images (N, C, H, W); values may lie outside [-1, 1].

    Residual blocks halve the sides, two of the bottleneck keep them, and as many blocks with adaptive instance
    normalisation lead back. For 256 px it has 33,892,995 parameters. With the high-pass skip it has 43,295,363, one
    size more; the published code's 43,467,395 include shortcuts of the styled blocks that it never uses.

    Args:
        channels, height, width: size of the images in training; H and W of others are multiples of ``multiple``.
        style: S.
        base: feature maps at the images' size are base / shorter side, doubled at each halving up to ``most``.
        most: see above.
        high_pass: divides the high-pass filter of encoded maps that are added to decoded ones at 32, 64 and 128 px
            (appendix A; 1 for CelebA-HQ). Blocks that are led by styles then have no shortcut. 0 leaves it out.

    Attributes:
        multiple: H and W must be multiples of it.
    """

    filter: Tensor

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        style: PositiveInt = 64,
        base: PositiveInt = 16384,
        most: PositiveInt = 512,
        high_pass: NonNegative = 0.0,
    ) -> None:
        super().__init__()
        deepest = num_downsamplings(height, width)
        times, shortcut = max(0, deepest - 2) + (high_pass > 0), not high_pass
        maps = feature_maps(height, width, times, base, most)
        self.first = nn.Conv2d(channels, maps[0], 3, 1, 1)
        self.encoding = nn.ModuleList(ResidualBlock(a, b, norm=True, halves=True) for a, b in pairwise(maps))
        self.encoding.extend(ResidualBlock(maps[-1], maps[-1], norm=True) for _ in range(2))
        self.decoding = nn.ModuleList(StyledBlock(maps[-1], maps[-1], style, shortcut) for _ in range(2))
        steps = pairwise(maps[::-1])
        self.decoding.extend(StyledBlock(a, b, style, shortcut, doubles=True) for a, b in steps)
        norm = InstanceNorm2d(maps[0], affine=True)
        self.last = nn.Sequential(norm, nn.LeakyReLU(0.2, True), nn.Conv2d(maps[0], channels, 1))
        self.multiple, self.high_pass = 1 << times, high_pass
        edges = torch.full((3, 3), -1.0)
        edges[1, 1] = 8
        self.register_buffer("filter", edges[None, None] / (high_pass or 1), persistent=False)
        init_he(self)

    def forward(self, images: Tensor, styles: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Returns images (N, C, H, W); for ``masks`` see ``decode``."""
        return self.decode(*self.encode(images), styles, masks)

    def encode(self, images: Tensor) -> tuple[Tensor, Skips]:
        """Returns the bottleneck's maps of images (N, C, H, W), and maps that skip it; they depend on no style."""
        x, skips = self.first(images), {}
        for block in self.encoding:
            if self.high_pass and x.shape[2] in SKIPPED:
                skips[x.shape[2]] = x
            x = block(x)
        return x, skips

    def decode(self, maps: Tensor, skips: Skips, styles: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Returns images (N, C, H, W) of a style, given what ``encode`` returns.

        Args:
            maps: of the bottleneck, (N, C', h, w).
            skips: maps that skip it.
            styles: (N, S).
            masks: shares of skipping maps that are added, in [0, 1], at 32 px and at larger sizes, each (N, 1, h', w')
                of any size; all of them without masks.
        """
        x = maps
        for block in self.decoding:
            x = block(x, styles)
            if skips and x.shape[2] in skips:
                x = x + self._high_frequencies(skips[x.shape[2]], masks)
        return self.last(x)

    def _high_frequencies(self, x: Tensor, masks: tuple[Tensor, Tensor] | None) -> Tensor:
        if masks is not None:
            mask = masks[0] if x.shape[2] == SKIPPED[0] else masks[1]
            x = x * F.interpolate(mask.to(x), x.shape[2:], mode="bilinear")
        return F.conv2d(x, self.filter.to(x).expand(x.shape[1], -1, -1, -1), padding=1, groups=x.shape[1])

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the images' sides can be halved down to 4 to 7 px, see ``ChecksData``.

        Raises:
            UserError: if they cannot.
        """
        try:
            num_downsamplings(*height_and_width(data["size"]))
        except ValueError as error:
            raise UserError(str(error)) from error


class MappingNetwork(nn.Module):
    """Maps latents (N, Z) and domains (N,) to styles (N, S): four shared layers, then four of each domain.

    With its defaults it has 2,438,272 parameters for two domains and 3,259,072 for three.

    Args:
        latent: Z.
        domains: K.
        style: S.
        width: units of each hidden layer.
    """

    def __init__(
        self, latent: PositiveInt, domains: PositiveInt, style: PositiveInt = 64, width: PositiveInt = 512
    ) -> None:
        super().__init__()
        self.shared = _perceptron([latent, width, width, width, width])
        widths = [width, width, width, width]
        self.heads = nn.ModuleList(_perceptron(widths).append(nn.Linear(width, style)) for _ in range(domains))
        init_he(self)

    def forward(self, latents: Tensor, domains: Tensor) -> Tensor:
        return of_domain(self.heads, self.shared(latents), domains)


def _perceptron(widths: list[int]) -> nn.Sequential:
    return nn.Sequential(*(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU(True))))


class StyleEncoder(nn.Module):
    """Maps images (N, C, H, W) and their domains (N,) to styles (N, S), through a linear layer of each domain.

    For 256 px it has 20,916,928 parameters for two domains and 20,949,760 for three.

    Args:
        channels, height, width: size of the images.
        domains: K.
        style: S.
        base, most: see ``Generator``.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        domains: PositiveInt,
        style: PositiveInt = 64,
        base: PositiveInt = 16384,
        most: PositiveInt = 512,
    ) -> None:
        super().__init__()
        self.shared, maps = _trunk(channels, height, width, base, most)
        self.heads = nn.ModuleList(nn.Linear(maps, style) for _ in range(domains))
        init_he(self)

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        return of_domain(self.heads, self.shared(images).flatten(1), domains)


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) and domains (N,) to logits (N, 1): each domain has a real-or-generated task of its own.

    For 256 px it has 20,852,290 parameters for two domains and 20,852,803 for three.

    Args:
        channels, height, width: size of the images.
        domains: K.
        base, most: see ``Generator``.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        domains: PositiveInt,
        base: PositiveInt = 16384,
        most: PositiveInt = 512,
    ) -> None:
        super().__init__()
        self.trunk, maps = _trunk(channels, height, width, base, most)
        self.logits = nn.Conv2d(maps, domains, 1)
        init_he(self)

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        return self.logits(self.trunk(images)).flatten(1).gather(1, domains[:, None])


def of_domain(heads: nn.ModuleList, x: Tensor, domains: Tensor) -> Tensor:
    """Returns the output (N, S) of each row's own head, given rows (N, F) and their domains (N,)."""
    every = torch.stack([head(x) for head in heads], 1)
    return every[torch.arange(len(x), device=x.device), domains]


def feature_maps(height: int, width: int, times: int, base: int, most: int) -> list[int]:
    """Returns the number of feature maps at the images' size, and after each of ``times`` halvings."""
    first = max(1, base // min(height, width))
    return [min(most, first << level) for level in range(times + 1)]


def _trunk(channels: int, height: int, width: int, base: int, most: int) -> tuple[nn.Sequential, int]:
    """Returns what maps images (N, C, H, W) to features (N, F, 1, 1), with F."""
    times = num_downsamplings(height, width)
    maps = feature_maps(height, width, times, base, most)
    blocks = [ResidualBlock(a, b, halves=True) for a, b in pairwise(maps)]
    whole = nn.Conv2d(maps[-1], maps[-1], (height >> times, width >> times))
    leaky = nn.LeakyReLU(0.2)
    return nn.Sequential(nn.Conv2d(channels, maps[0], 3, 1, 1), *blocks, leaky, whole, leaky), maps[-1]


class ResidualBlock(nn.Module):
    """A residual block with activations before its convolutions: (N, C, H, W) → (N, C', H, W), or half the sides.

    Args:
        maps, out_maps: C and C'.
        norm: instance normalisation before the activations.
        halves: averages 2×2 pixels after the first convolution.
    """

    def __init__(self, maps: int, out_maps: int, norm: bool = False, halves: bool = False) -> None:
        super().__init__()
        self.conv1 = PooledConv2d(maps, maps) if halves else nn.Conv2d(maps, maps, 3, 1, 1)
        self.conv2 = nn.Conv2d(maps, out_maps, 3, 1, 1)
        self.norm1, self.norm2 = (InstanceNorm2d(maps, affine=True) if norm else nn.Identity() for _ in range(2))
        self.shortcut = nn.Conv2d(maps, out_maps, 1, bias=False) if maps != out_maps else nn.Identity()
        self.halves = halves

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.leaky_relu(self.norm1(x), 0.2))
        y = self.conv2(F.leaky_relu(self.norm2(y), 0.2, True))
        # A convolution of single pixels and a mean of pixels can change places: the smaller maps come first.
        return (self.shortcut(F.avg_pool2d(x, 2) if self.halves else x) + y) / math.sqrt(2)


class StyledBlock(nn.Module):
    """A residual block with adaptive instance normalisation: (N, C, H, W) → (N, C', H, W), or twice the sides.

    Args:
        maps, out_maps: C and C'.
        style: S.
        shortcut: adds the block's input; without it the block is not residual.
        doubles: repeats each pixel 2×2 times before the first convolution.
    """

    def __init__(self, maps: int, out_maps: int, style: int, shortcut: bool, doubles: bool = False) -> None:
        super().__init__()
        self.conv1 = DoubledConv2d(maps, out_maps) if doubles else nn.Conv2d(maps, out_maps, 3, 1, 1)
        self.conv2 = nn.Conv2d(out_maps, out_maps, 3, 1, 1)
        self.norm1, self.norm2 = AdaptiveNorm(maps, style), AdaptiveNorm(out_maps, style)
        same = nn.Conv2d(maps, out_maps, 1, bias=False) if maps != out_maps else nn.Identity()
        self.shortcut, self.doubles = same if shortcut else None, doubles

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        y = self.conv1(F.leaky_relu(self.norm1(x, styles), 0.2, True))
        y = self.conv2(F.leaky_relu(self.norm2(y, styles), 0.2, True))
        if self.shortcut is None:
            return y
        same = self.shortcut(x)
        return (y + (F.interpolate(same, scale_factor=2) if self.doubles else same)) / math.sqrt(2)


class AdaptiveNorm(nn.Module):
    """Instance normalisation of maps (N, C, H, W), with scale and shift by a style (N, S) (Huang and Belongie 2017)."""

    def __init__(self, maps: int, style: int) -> None:
        super().__init__()
        self.affine = nn.Linear(style, 2 * maps)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        scale, shift = self.affine(styles).chunk(2, 1)
        return styled_instance_norm(x, 1 + scale, shift)
