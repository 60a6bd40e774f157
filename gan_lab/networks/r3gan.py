"""Generator and discriminator of R3GAN (Huang et al. 2024): grouped residual blocks without any normalisation."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.filters import Filter
from gan_lab.networks.layers import init_zero, num_downsamplings

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))
"""Gain of a leaky ReLU, which keeps the variance of its input (He et al. 2015, eq. 15)."""


class Generator(nn.Module):
    """Maps latents (N, Z) and, if conditional, labels (N,) to images (N, C, H, W), about [-1, 1] but not bounded.

    A learned map of the smallest size, scaled by a linear map of the latents, then residual blocks at each size. At
    32×32×3 with width 768, Z = 64 and 10 classes it has 20.8 million parameters.

    Args:
        latent: Z.
        channels, height, width: size of the images.
        widths: feature maps at each size from the smallest, or one number for all sizes.
        blocks: residual blocks at each size.
        group: channels in each group of the 3×3 convolutions.
        classes: K, or 0 for an unconditional generator.
        embedding: dimension of the class embedding.
        base: feature maps times the shorter side, in whole groups, from one group up to the one number of ``widths``;
            None for this number at all sizes. Without effect on several widths.

    Raises:
        ValueError: if the number of widths is not the number of sizes, or groups do not divide a width.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        widths: PositiveInt | Sequence[PositiveInt] = 768,
        blocks: Natural = 2,
        group: PositiveInt = 16,
        classes: Natural = 0,
        embedding: PositiveInt = 64,
        base: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        maps = maps_per_size(widths, height, width, base, group)
        times, count = len(maps) - 1, blocks * len(maps)
        self.classes = class_embedding(classes, embedding) if classes else None
        self.basis = nn.Parameter(torch.randn(maps[0], height >> times, width >> times))
        self.scale = nn.Linear(latent + embedding * bool(classes), maps[0], bias=False)
        layers: list[nn.Module] = []
        for before, after in zip([maps[0], *maps], maps, strict=False):
            layers += [Up(before, after)] if layers else []
            layers += [Block(after, group, count) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.out = nn.Conv2d(maps[-1], channels, 1, bias=False)
        for layer in (self.scale, self.out):
            init_gain(layer)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.classes is not None:
            latents = torch.cat([latents, self.classes(labels)], 1)
        return self.out(self.layers(self.basis * self.scale(latents)[:, :, None, None]))


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) and, if conditional, labels (N,) to logits (N,).

    A conditional logit is the inner product of a linear map of the features and a class embedding. At 32×32×3 with
    width 768 and 10 classes it has 21.3 million parameters.

    Args:
        channels, height, width: size of the images.
        widths, blocks, group, classes, base: see ``Generator``.

    Raises:
        ValueError: if the number of widths is not the number of sizes, or groups do not divide a width.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        widths: PositiveInt | Sequence[PositiveInt] = 768,
        blocks: Natural = 2,
        group: PositiveInt = 16,
        classes: Natural = 0,
        base: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        maps = maps_per_size(widths, height, width, base, group)[::-1]
        times, count = len(maps) - 1, blocks * len(maps)
        layers: list[nn.Module] = [nn.Conv2d(channels, maps[0], 1, bias=False)]
        for before, after in zip([maps[0], *maps], maps, strict=False):
            layers += [Down(before, after)] if len(layers) > 1 else []
            layers += [Block(after, group, count) for _ in range(blocks)]
        layers.append(nn.Conv2d(maps[-1], maps[-1], (height >> times, width >> times), groups=maps[-1], bias=False))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.width, self.out = maps[-1], nn.Linear(maps[-1], maps[-1] if classes else 1, bias=False)
        self.classes = class_embedding(classes, maps[-1], maps[-1] ** -0.5) if classes else None
        for layer in (layers[0], layers[-1], self.out):
            init_gain(layer)

    def features(self, images: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to the last features (N, width)."""
        return self.layers(images)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images), labels)

    def logits(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps features (N, width) and, if conditional, labels (N,) to logits (N,)."""
        outputs = self.out(features)
        return outputs.squeeze(1) if self.classes is None else (outputs * self.classes(labels)).sum(1)


def maps_per_size(
    widths: int | Sequence[int], height: int, width: int, base: int | None = None, group: int = 16
) -> list[int]:
    """Returns the number of feature maps at each size from the smallest; see ``Generator``.

    Raises:
        ValueError: if the number of widths is not the number of sizes.
    """
    times = num_downsamplings(height, width)
    sides = [min(height, width) >> halvings for halvings in range(times, -1, -1)]
    if isinstance(widths, int):
        return [min(widths, max(group, base // side // group * group)) if base else widths for side in sides]
    maps, sizes = [*widths], len(sides)
    if len(maps) != sizes:
        raise ValueError(
            f"{len(maps)} widths do not match the {sizes} sizes of {height}×{width} px: give one width for each size."
        )
    return maps


class Block(nn.Module):
    """Computes x + an inverted bottleneck of x: (N, C, H, W) → (N, C, H, W).

    A 1×1 convolution to 2 C maps, a grouped 3×3 and a 1×1 back to C; only convolutions before a leaky ReLU have biases.

    Args:
        maps: C.
        group: channels in each group.
        count: number of blocks in the network; the first two convolutions start smaller by count^(-1/4).

    Raises:
        ValueError: if groups do not divide 2 C.
    """

    def __init__(self, maps: int, group: int, count: int) -> None:
        super().__init__()
        wide = 2 * maps
        if wide % group:
            raise ValueError(f"group={group} does not divide {wide}, twice the width: give another width.")
        self.enter = nn.Conv2d(maps, wide, 1)
        self.mix = nn.Conv2d(wide, wide, 3, padding=1, groups=wide // group)
        self.leave = nn.Conv2d(wide, maps, 1, bias=False)
        for layer in (self.enter, self.mix):
            init_gain(layer, GAIN * count**-0.25)
        init_zero(self.leave)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.enter(x), SLOPE)
        return x + self.leave(F.leaky_relu(self.mix(y), SLOPE))


class Resample(Filter):
    """A low-pass filter, and a 1×1 convolution if the number of maps changes.

    Args:
        before, after: feature maps of the input and of the output.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convert = nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)
        if isinstance(self.convert, nn.Conv2d):
            init_gain(self.convert)


class Up(Resample):
    """Changes the number of maps, then doubles the size: (N, before, H, W) → (N, after, 2 H, 2 W)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.doubled(self.convert(x))


class Down(Resample):
    """Halves the size, then changes the number of maps: (N, before, H, W) → (N, after, H / 2, W / 2)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.convert(self.halved(x))


def class_embedding(classes: int, dim: int, gain: float = 1.0) -> nn.Embedding:
    """Returns an embedding of classes, initialised like a linear map of one-hot labels: N(0, gain² / classes)."""
    embedding = nn.Embedding(classes, dim)
    nn.init.normal_(embedding.weight, 0.0, gain / math.sqrt(classes))
    return embedding


def init_gain(layer: nn.Module, gain: float = 1.0) -> None:
    """Draws the weights of a convolution or linear layer from N(0, gain² / fan_in); biases are 0."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
