"""Encoders and decoders between images and vectors: fully connected, and convolutional for images of any size."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.layers import concat_labels, upsampling


class MLPEncoder(nn.Module):
    """Maps images (N, C, H, W) to vectors (N, out): linear layers with ReLU.

    Kingma and Welling 2014, appendix C, use tanh.

    Args:
        out: outputs; 2Z for a Gaussian posterior.
        channels, height, width: size of the images.
        widths: units of the hidden layers.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the pixels.
    """

    def __init__(
        self,
        out: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        widths: Sequence[PositiveInt] = (512, 512),
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.layers = _dense([channels * height * width + classes, *widths, out])

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(concat_labels(images.flatten(1), labels, self.classes))


class MLPDecoder(nn.Module):
    """Maps latents (N, Z) to maps (N, C, H, W): linear layers with ReLU.

    Args:
        latent: Z.
        channels, height, width: size of the maps.
        widths: units of the hidden layers.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the latents.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        widths: Sequence[PositiveInt] = (512, 512),
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        pixels = _dense([latent + classes, *widths, channels * height * width])
        self.layers = nn.Sequential(pixels, nn.Unflatten(1, (channels, height, width)))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(concat_labels(latents, labels, self.classes))


def _dense(widths: Sequence[int]) -> nn.Sequential:
    layers = [part for before, after in pairwise(widths) for part in (nn.Linear(before, after), nn.ReLU(inplace=True))]
    return nn.Sequential(*layers[:-1])


class ConvEncoder(nn.Module):
    """Maps images (N, C, H, W) to vectors (N, out).

    Strided convolutions with group norm and SiLU, down to a shorter side of 4 to 7 px, then a linear layer.

    Args:
        out: outputs; 2Z for a Gaussian posterior.
        channels, height, width: size of the images.
        base: feature maps after the first halving, doubled at each further one.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the images.
    """

    def __init__(
        self,
        out: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 32,
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        self.classes = classes
        sizes = downsampled_sizes(height, width)
        maps = [channels + classes, *(base << level for level in range(len(sizes) - 1))]
        layers = [part for pair in pairwise(maps) for part in (nn.Conv2d(*pair, 4, 2, 1), *norm_act(pair[1]))]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(maps[-1] * math.prod(sizes[-1]), out))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(concat_labels(images, labels, self.classes))


class ConvDecoder(nn.Module):
    """Maps latents (N, Z) to maps (N, C, H, W).

    A linear layer, transposed 4×4 convolutions with group norm and SiLU, and a 3×3 convolution.

    Args:
        latent: Z.
        channels, height, width: size of the maps.
        base: feature maps at half the resolution, doubled at each halving.
        classes: K; if not 0, labels (N,) are taken as well and concatenated one-hot to the latents.
        tanh: bound the output to [-1, 1] by tanh.
        upsample: "transposed" or "resize"; see ``upsampling``.

    Raises:
        ValueError: for another upsampling.
    """

    def __init__(
        self,
        latent: PositiveInt,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        base: PositiveInt = 32,
        classes: Natural = 0,
        tanh: bool = False,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        self.classes = classes
        sizes = downsampled_sizes(height, width)[::-1]
        maps = [*(base << level for level in reversed(range(len(sizes) - 1))), base]
        first = (maps[0], *sizes[0])
        layers: list[nn.Module] = [nn.Linear(latent + classes, math.prod(first)), nn.Unflatten(1, first)]
        for pair, small, large in zip(pairwise(maps), sizes, sizes[1:], strict=False):
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            transposed = nn.ConvTranspose2d(*pair, 4, 2, 1, output_padding=odd)
            layers += [*norm_act(pair[0]), *upsampling(upsample, transposed, large if any(odd) else None)]
        self.last = nn.Conv2d(maps[-1], channels, 3, 1, 1)
        self.layers = nn.Sequential(*layers, *norm_act(maps[-1]), self.last, *([nn.Tanh()] if tanh else []))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(concat_labels(latents, labels, self.classes))


def downsampled_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Returns the sizes of an image that is halved, rounding down, until its shorter side has fewer than 8 px."""
    sizes = [(height, width)]
    while min(sizes[-1]) >= 8:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def norm_act(maps: int) -> list[nn.Module]:
    """Returns a group norm, over groups of at least 8 feature maps, and a SiLU."""
    return [nn.GroupNorm(math.gcd(maps, max(1, min(8, maps // 8))), maps), nn.SiLU()]
