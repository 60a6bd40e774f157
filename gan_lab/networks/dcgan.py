"""DCGAN (Radford, Metz and Chintala 2016): all-convolutional, for any picture that halves down to 4 px."""

import math
from itertools import pairwise

from torch import Tensor, nn

from gan_lab.networks.layers import init_normal, make_norm


def halvings(height: int, width: int) -> int:
    """How often a picture of (height, width) halves until its shorter side is 4 px.

    Raises:
        ValueError: if the shorter side is no power of two from 8 up, or the longer one does not halve as often.
    """
    short = min(height, width)
    times = int(math.log2(short / 4)) if short >= 8 else 0
    if times < 1 or short != 4 << times or max(height, width) % (1 << times):
        near = 4 << max(1, round(math.log2(max(short, 8) / 4)))
        raise ValueError(
            f"DCGAN makes pictures whose sides halve down to 4 px, not {height}×{width}: data.size={near} works."
        )
    return times


class Generator(nn.Module):
    """Latents (N, Z) → images (N, C, H, W) in [-1, 1]: transposed convolutions, batch norm, ReLU, tanh.

    At 64×64×3 the widths are 512, 256, 128, 64 and the network has 3,576,704 parameters.

    Args:
        latent: Z.
        channels, height, width: of the images.
        base: maps at half the final resolution; doubled at each halving.
    """

    def __init__(self, latent: int, channels: int, height: int, width: int, base: int = 64) -> None:
        super().__init__()
        times = halvings(height, width)
        maps = [base << i for i in reversed(range(times))]
        start = (height >> times, width >> times)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, maps[0], start, bias=False)]
        for before, after in pairwise(maps):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(maps[-1]), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(maps[-1], channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents[:, :, None, None])


class Discriminator(nn.Module):
    """Images (N, C, H, W) → logits (N,): strided convolutions, LeakyReLU 0.2, norm in all but the first and last.

    At 64×64×3 it has 2,765,568 parameters.

    Args:
        channels, height, width: of the images.
        base: maps after the first halving; doubled at each further one.
        norm: batch (the paper's), instance, layer or none.
    """

    def __init__(self, channels: int, height: int, width: int, base: int = 64, norm: str = "batch") -> None:
        super().__init__()
        times = halvings(height, width)
        maps = [base << i for i in range(times)]
        layers: list[nn.Module] = [nn.Conv2d(channels, base, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for before, after in pairwise(maps):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), make_norm(norm, after)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Conv2d(maps[-1], 1, (height >> times, width >> times), bias=False)]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()
