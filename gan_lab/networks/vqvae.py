"""The VQ-VAE's encoder and decoder (van den Oord et al. 2017, section 4.1), for pictures whose sides halve evenly."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """x + ReLU, 3×3, ReLU, 1×1."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(maps, maps, 3, 1, 1), nn.Conv2d(maps, maps, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class Encoder(nn.Module):
    """Images (N, C, H, W) → vectors (N, D, H / 2^s, W / 2^s): strided convolutions 4×4, residual blocks, a 1×1.

    Args:
        channels, height, width: of the images; sides must be multiples of 2^s.
        dim: D.
        maps: of the residual blocks; half as many after the first halving.
        halvings: s.
        blocks: their number.

    Raises:
        ValueError: for sides that do not halve so often.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        dim: int = 64,
        maps: int = 128,
        halvings: int = 2,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        if halvings < 1:
            raise ValueError(f"codebook.halvings={halvings} does not serve: give a whole number from 1 up.")
        grain = 1 << halvings
        if height % grain or width % grain:
            raise ValueError(
                f"A codebook of pictures that are halved {halvings} times takes sides that are multiples of {grain}, "
                f"not {height}×{width}: give such a data.size, or fewer codebook.halvings."
            )
        widths = [channels, *[maps // 2] * (halvings - 1), maps]
        layers: list[nn.Module] = []
        for pair in pairwise(widths):
            layers += [nn.Conv2d(*pair, 4, 2, 1), nn.ReLU()]
        layers += [nn.Conv2d(maps, maps, 3, 1, 1), *(Block(maps) for _ in range(blocks)), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(maps, dim, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Decoder(nn.Module):
    """Vectors (N, D, h, w) → images (N, C, 2^s h, 2^s w): a 3×3, residual blocks, transposed convolutions 4×4, a 3×3.

    Nothing bounds the values: while few entries are in use, a tanh would come to rest at the background's level.

    Args:
        channels: of the images.
        dim, maps, halvings, blocks: as the encoder's.
    """

    def __init__(self, channels: int, dim: int = 64, maps: int = 128, halvings: int = 2, blocks: int = 2) -> None:
        super().__init__()
        widths = [maps, *[maps // 2] * halvings]
        layers: list[nn.Module] = [nn.Conv2d(dim, maps, 3, 1, 1), *(Block(maps) for _ in range(blocks))]
        for pair in pairwise(widths):
            layers += [nn.ReLU(), nn.ConvTranspose2d(*pair, 4, 2, 1)]
        self.last = nn.Conv2d(widths[-1], channels, 3, 1, 1)
        self.layers = nn.Sequential(*layers, nn.ReLU(), self.last)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.layers(vectors)
