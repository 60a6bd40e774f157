"""The VQ-VAE's encoder and decoder (van den Oord et al. 2017, section 4.1)."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.layers import upsampling


class Block(nn.Module):
    """Computes x + ReLU, 3×3 convolution, ReLU, 1×1 convolution: (N, maps, H, W) → (N, maps, H, W)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(maps, maps, 3, 1, 1), nn.Conv2d(maps, maps, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class Encoder(nn.Module):
    """Maps images (N, C, H, W) to vectors (N, D, H / 2^s, W / 2^s).

    Strided 4×4 convolutions, residual blocks, a 1×1 convolution.

    Args:
        channels, height, width: size of the images; both sides must be multiples of 2^s.
        dim: D.
        maps: feature maps of the residual blocks; half as many at the scales before the last.
        num_downsamplings: s, at least 1.
        blocks: number of residual blocks.

    Raises:
        ValueError: if ``num_downsamplings`` is below 1, or a side cannot be halved as often.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        dim: PositiveInt = 64,
        maps: PositiveInt = 128,
        num_downsamplings: Natural = 2,
        blocks: Natural = 2,
    ) -> None:
        super().__init__()
        _check_sides(num_downsamplings, height, width)
        widths = [channels, *[maps // 2] * (num_downsamplings - 1), maps]
        layers: list[nn.Module] = []
        for pair in pairwise(widths):
            layers += [nn.Conv2d(*pair, 4, 2, 1), nn.ReLU()]
        layers += [nn.Conv2d(maps, maps, 3, 1, 1), *(Block(maps) for _ in range(blocks)), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(maps, dim, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def _check_sides(num_downsamplings: int, height: int, width: int) -> None:
    if num_downsamplings < 1:
        raise ValueError(
            f"model.encoder.num_downsamplings={num_downsamplings} is not valid: give an integer of at least 1."
        )
    multiple = 1 << num_downsamplings
    if height % multiple or width % multiple:
        raise ValueError(
            f"With model.encoder.num_downsamplings={num_downsamplings} sides must be multiples of {multiple} px, "
            f"not {height}×{width}: give such a data.size, or fewer downsamplings."
        )


class Decoder(nn.Module):
    """Maps vectors (N, D, h, w) to images (N, C, 2^s h, 2^s w).

    A 3×3 convolution, residual blocks, transposed 4×4 convolutions, a 3×3 convolution. The output is not bounded:
    while few entries are in use, a tanh would saturate at the background's level.

    Args:
        channels: C.
        dim, maps, num_downsamplings, blocks: see ``Encoder``.
        upsample: "transposed", the paper's, or "resize"; see ``upsampling``.

    Raises:
        ValueError: for another upsampling.
    """

    def __init__(
        self,
        channels: PositiveInt,
        dim: PositiveInt = 64,
        maps: PositiveInt = 128,
        num_downsamplings: Natural = 2,
        blocks: Natural = 2,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        widths = [maps, *[maps // 2] * num_downsamplings]
        layers: list[nn.Module] = [nn.Conv2d(dim, maps, 3, 1, 1), *(Block(maps) for _ in range(blocks))]
        for pair in pairwise(widths):
            layers += [nn.ReLU(), *upsampling(upsample, nn.ConvTranspose2d(*pair, 4, 2, 1))]
        self.last = nn.Conv2d(widths[-1], channels, 3, 1, 1)
        self.layers = nn.Sequential(*layers, nn.ReLU(), self.last)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.layers(vectors)
