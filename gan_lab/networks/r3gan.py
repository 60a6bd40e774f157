"""The generator and critic of R3GAN (Huang et al. 2024): grouped residual blocks without any normalisation."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks.layers import halvings

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))
"""Of a leaky rectifier: keeps the variance of what passes through (He et al. 2015, eq. 15)."""


class Generator(nn.Module):
    """Latents (N, Z), and labels (N,) if there are classes → images (N, C, H, W), about [-1, 1] and not bounded.

    A learned 4×4 map scaled by a linear map of the latents, then two blocks at each size. At 32×32×3 with width 768,
    Z = 64 and 10 classes it has 20.8 million parameters.

    Args:
        latent: Z.
        channels, height, width: of the images.
        widths: maps at each size from the smallest; one number stands for all.
        blocks: at each size.
        group: channels in each group of the 3×3 convolutions.
        classes: K.
        embedding: numbers that a class becomes.
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        height: int,
        width: int,
        widths: int | Sequence[int] = 768,
        blocks: int = 2,
        group: int = 16,
        classes: int = 0,
        embedding: int = 64,
    ) -> None:
        super().__init__()
        maps = at_each_size(widths, height, width)
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
    """Images (N, C, H, W), and labels (N,) if there are classes → logits (N,).

    With classes the logit is the inner product of what is found in the picture and the class, of as many numbers as
    the smallest size has maps. At 32×32×3 with width 768 and 10 classes it has 21.3 million parameters.

    Args:
        channels, height, width: of the images.
        widths: maps at each size from the smallest, as the generator's; one number stands for all.
        blocks, group, classes: see ``Generator``.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        widths: int | Sequence[int] = 768,
        blocks: int = 2,
        group: int = 16,
        classes: int = 0,
    ) -> None:
        super().__init__()
        maps = at_each_size(widths, height, width)[::-1]
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
        """What the logits are made from, (N, width)."""
        return self.layers(images)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.features(images), labels)

    def logits(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        found = self.out(features)
        return found.squeeze(1) if self.classes is None else (found * self.classes(labels)).sum(1)


def at_each_size(widths: int | Sequence[int], height: int, width: int) -> list[int]:
    """Maps at each size from the smallest.

    Raises:
        ValueError: if there are not as many as sizes.
    """
    sizes = halvings(height, width) + 1
    maps = [widths] * sizes if isinstance(widths, int) else [*widths]
    if len(maps) != sizes:
        raise ValueError(f"{height}×{width} px has {sizes} sizes, and there are {len(maps)} widths: give one for each.")
    return maps


class Block(nn.Module):
    """x + 1×1 to twice the maps, grouped 3×3, 1×1 back; biases before the leaky rectifiers alone.

    Args:
        maps: C.
        group: channels in each group.
        count: of blocks in the network, by which their first two convolutions are scaled down.
    """

    def __init__(self, maps: int, group: int, count: int) -> None:
        super().__init__()
        wide = 2 * maps
        if wide % group:
            raise ValueError(f"{wide} maps, twice the width, do not fall into groups of {group}: give another width.")
        self.enter = nn.Conv2d(maps, wide, 1)
        self.mix = nn.Conv2d(wide, wide, 3, padding=1, groups=wide // group)
        self.leave = nn.Conv2d(wide, maps, 1, bias=False)
        for layer in (self.enter, self.mix):
            init_gain(layer, GAIN * count**-0.25)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.enter(x), SLOPE)
        return x + self.leave(F.leaky_relu(self.mix(y), SLOPE))


class Resample(nn.Module):
    """The filter [1 3 3 1] over each map, and a 1×1 convolution where the width changes."""

    kernel: Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)
        self.convert = nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)
        if isinstance(self.convert, nn.Conv2d):
            init_gain(self.convert)

    def filters(self, x: Tensor) -> Tensor:
        return self.kernel.expand(x.shape[1], -1, -1, -1)


class Up(Resample):
    """Twice the size; converts first."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.convert(x)
        return F.conv_transpose2d(x, 4 * self.filters(x), stride=2, padding=1, groups=x.shape[1])


class Down(Resample):
    """Half the size; converts last."""

    def forward(self, x: Tensor) -> Tensor:
        return self.convert(F.conv2d(x, self.filters(x), stride=2, padding=1, groups=x.shape[1]))


def class_embedding(classes: int, numbers: int, gain: float = 1.0) -> nn.Embedding:
    """A class's numbers, drawn as the weights of a linear map from its indicator."""
    embedding = nn.Embedding(classes, numbers)
    nn.init.normal_(embedding.weight, 0.0, gain / math.sqrt(classes))
    return embedding


def init_gain(layer: Any, gain: float = 1.0) -> None:
    """Weights from N(0, gain² / fan_in), biases 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
