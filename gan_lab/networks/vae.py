"""Encoders and decoders between pictures and vectors: fully connected, and convolutional for pictures of any size."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from gan_lab.networks.layers import beside


class MLPEncoder(nn.Module):
    """Images (N, C, H, W) → (N, out): linear layers with ReLU (Kingma and Welling 2014, appendix C, whose are tanh).

    Args:
        out: numbers that come out: 2Z of a posterior.
        channels, height, width: of the images.
        widths: of the hidden layers.
        classes: K; then labels (N,) are taken as well, their indicators beside the pixels.
    """

    def __init__(
        self, out: int, channels: int, height: int, width: int, widths: Sequence[int] = (512, 512), classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        self.layers = _dense([channels * height * width + classes, *widths, out])

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(beside(images.flatten(1), labels, self.classes))


class MLPDecoder(nn.Module):
    """Latents (N, Z) → maps (N, C, H, W): linear layers with ReLU.

    Args:
        latent: Z.
        channels, height, width: of the maps.
        widths: of the hidden layers.
        classes: K; then labels (N,) are taken as well, their indicators beside the latents.
    """

    def __init__(
        self, latent: int, channels: int, height: int, width: int, widths: Sequence[int] = (512, 512), classes: int = 0
    ) -> None:
        super().__init__()
        self.classes = classes
        pixels = _dense([latent + classes, *widths, channels * height * width])
        self.layers = nn.Sequential(pixels, nn.Unflatten(1, (channels, height, width)))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(beside(latents, labels, self.classes))


def _dense(widths: Sequence[int]) -> nn.Sequential:
    layers = [part for before, after in pairwise(widths) for part in (nn.Linear(before, after), nn.ReLU(inplace=True))]
    return nn.Sequential(*layers[:-1])


class ConvEncoder(nn.Module):
    """Images (N, C, H, W) → (N, out): strided convolutions down to 4 to 7 px, group norm, SiLU, a linear layer.

    Args:
        out: numbers that come out: 2Z of a posterior.
        channels, height, width: of the images.
        base: maps after the first halving; doubled at each further one.
        classes: K; then labels (N,) are taken as well, their indicators as maps beside the images.
    """

    def __init__(self, out: int, channels: int, height: int, width: int, base: int = 32, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        sizes = halved(height, width)
        maps = [channels + classes, *(base << level for level in range(len(sizes) - 1))]
        layers = [part for pair in pairwise(maps) for part in (nn.Conv2d(*pair, 4, 2, 1), *normed(pair[1]))]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(maps[-1] * math.prod(sizes[-1]), out))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(beside(images, labels, self.classes))


class ConvDecoder(nn.Module):
    """Latents (N, Z) → maps (N, C, H, W): a linear layer, transposed convolutions, group norm, SiLU, a 3×3 convolution.

    Args:
        latent: Z.
        channels, height, width: of the maps.
        base: maps at half the resolution; doubled at each halving.
        classes: K; then labels (N,) are taken as well, their indicators beside the latents.
        tanh: brings what comes out into [-1, 1].
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        height: int,
        width: int,
        base: int = 32,
        classes: int = 0,
        tanh: bool = False,
    ) -> None:
        super().__init__()
        self.classes = classes
        sizes = halved(height, width)[::-1]
        maps = [*(base << level for level in reversed(range(len(sizes) - 1))), base]
        first = (maps[0], *sizes[0])
        layers: list[nn.Module] = [nn.Linear(latent + classes, math.prod(first)), nn.Unflatten(1, first)]
        for pair, small, large in zip(pairwise(maps), sizes, sizes[1:], strict=False):
            odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
            layers += [*normed(pair[0]), nn.ConvTranspose2d(*pair, 4, 2, 1, output_padding=odd)]
        self.last = nn.Conv2d(maps[-1], channels, 3, 1, 1)
        self.layers = nn.Sequential(*layers, *normed(maps[-1]), self.last, *([nn.Tanh()] if tanh else []))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.layers(beside(latents, labels, self.classes))


def halved(height: int, width: int) -> list[tuple[int, int]]:
    """The sizes of a picture that is halved, rounded down, until its shorter side has fewer than 8 px."""
    sizes = [(height, width)]
    while min(sizes[-1]) >= 8:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def normed(maps: int) -> list[nn.Module]:
    """Group norm over groups of at least 8 maps, and SiLU."""
    return [nn.GroupNorm(math.gcd(maps, max(1, min(8, maps // 8))), maps), nn.SiLU()]
