"""The U-Net of pix2pix (Isola et al. 2017), after Ronneberger et al. 2015."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_lab.networks.layers import Dropout, init_normal, make_norm


class Generator(nn.Module):
    """Pictures (N, C, H, W) → pictures (N, C', H, W) in [-1, 1], with a skip at every scale.

    H and W are multiples of 2 ** downs, so that the innermost map has one pixel or few. With 64 filters, 8 halvings
    (256 px) and three channels it has 54,413,955 parameters.

    Args:
        channels: C, what comes in.
        out_channels: C', what goes out.
        filters: maps of the outermost scale, doubled at each halving up to eight times as many.
        downs: halvings, at least 3.
        norm: see ``make_norm``; pix2pix's is batch, CycleGAN's plain_instance.
        dropout: share dropped on the way up, at the scales around the innermost.
        drops: how many scales: the paper's 3 at 8 halvings; of smaller U-Nets the published code takes ``downs - 5``.
    """

    def __init__(
        self,
        channels: int = 3,
        out_channels: int = 3,
        filters: int = 64,
        downs: int = 8,
        norm: str = "batch",
        dropout: float = 0.5,
        drops: int = 3,
    ) -> None:
        super().__init__()
        if downs < 3:
            raise ValueError(f"A U-Net needs at least 3 halvings, not {downs}: give sides that are multiples of 8.")
        self.multiple = 1 << downs
        maps = [filters * min(1 << level, 8) for level in range(downs)]
        bias = norm != "batch"
        self.down = nn.ModuleList(_down(level, channels, maps, norm, bias) for level in range(downs))
        shares = [dropout if 0 < downs - 1 - level <= drops else 0.0 for level in range(downs)]
        self.up = nn.ModuleList(_up(level, out_channels, maps, norm, bias, shares[level]) for level in range(downs))
        init_normal(self)

    def forward(self, images: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            images = layer(images)
            skips.append(images)
        images = self.up[-1](skips.pop())
        for layer in reversed(self.up[:-1]):
            images = layer(torch.cat([skips.pop(), images], 1))
        return images


def _down(level: int, channels: int, maps: Sequence[int], norm: str, bias: bool) -> nn.Sequential:
    """Halves; the outermost scale has neither norm nor a rectifier before it, the innermost no norm."""
    if level == 0:
        return nn.Sequential(nn.Conv2d(channels, maps[0], 4, 2, 1, bias=bias))
    innermost = level == len(maps) - 1
    return nn.Sequential(
        nn.LeakyReLU(0.2),
        nn.Conv2d(maps[level - 1], maps[level], 4, 2, 1, bias=bias),
        *([] if innermost else [make_norm(norm, maps[level])]),
    )


def _up(level: int, out_channels: int, maps: Sequence[int], norm: str, bias: bool, dropout: float) -> nn.Sequential:
    """Doubles; takes the skip of its scale beside what comes from below, but for the innermost."""
    width = maps[level] if level == len(maps) - 1 else 2 * maps[level]
    if level == 0:
        return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(width, out_channels, 4, 2, 1), nn.Tanh())
    return nn.Sequential(
        nn.ReLU(),
        nn.ConvTranspose2d(width, maps[level - 1], 4, 2, 1, bias=bias),
        make_norm(norm, maps[level - 1]),
        *([Dropout(dropout)] if dropout else []),
    )
