"""Networks that invert generators (Tov et al. 2021, e4e): an encoder of images as codes, a discriminator of codes."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt
from gan_lab.networks.equalised import GAIN, Conv, Linear, activate
from gan_lab.networks.layers import maps_per_size
from gan_lab.networks.stylegan2 import Down

LEVELS = 3
"""Sizes of maps that codes are read from: coarse, middle and fine (Richardson et al. 2021, pSp, figure 2)."""
FIRST_CHANGES = 0.1
"""Root mean square of the changes that a new encoder gives, in units of the codes."""


class Encoder(nn.Module):
    """Maps images (N, C, H, W) to a base code (N, W) and its changes for all layers but the first, (N, L - 1, W).

    Residual blocks halve the sides down to 4 to 7 px. The base is read from the coarsest maps. The changes are read
    from maps of three sizes, to which the coarser ones are added: those of the first layers from the coarsest.

    Args:
        channels, height, width: size of the images.
        layers: L; 1 for a generator that takes one code for all layers.
        code: W.
        base, most: see ``gan_lab.networks.stylegan2.Generator``.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        layers: PositiveInt,
        code: PositiveInt,
        base: PositiveInt = 4096,
        most: PositiveInt = 256,
    ) -> None:
        super().__init__()
        sizes = maps_per_size(height, width, base, most)[::-1]
        self.first = Conv(channels, sizes[0][1], 1, GAIN)
        self.blocks = nn.ModuleList(Down(a, b) for (_, a), (_, b) in pairwise(sizes))
        self.grid, maps = sizes[-1]
        read = maps * self.grid[0] * self.grid[1]
        self.hidden, self.base = Linear(read, maps, gain=GAIN), Linear(maps, code)
        levels = min(LEVELS, len(sizes))
        self.levels = [layer * levels // layers for layer in range(1, layers)]
        self.lateral = nn.ModuleList(Conv(own, maps, 1) for _, own in sizes[::-1][: max(self.levels, default=-1) + 1])
        self.changes = nn.ModuleList(Linear(read, code, gain=FIRST_CHANGES) for _ in self.levels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = [activate(self.first(images))]
        for block in self.blocks:
            found.append(block(found[-1]))
        base: Tensor = self.base(activate(self.hidden(found[-1].flatten(1))))
        read = self._pyramid(found[::-1])
        changes = [change(read[level]) for change, level in zip(self.changes, self.levels, strict=True)]
        return base, torch.stack(changes, 1) if changes else base[:, None][:, :0]

    def _pyramid(self, found: list[Tensor]) -> list[Tensor]:
        """Returns numbers (N, maps · h · w) read from maps of each level, given the maps from coarse to fine."""
        read: list[Tensor] = []
        above: Tensor | None = None
        for maps, lateral in zip(found, self.lateral, strict=False):
            own = lateral(maps)
            above = own if above is None else own + F.interpolate(above, own.shape[2:])
            read.append(F.adaptive_avg_pool2d(above, self.grid).flatten(1))
        return read


class CodeDiscriminator(nn.Module):
    """Maps codes (N, W) to logits (N,): a multilayer perceptron, which tells samples' codes from encoded ones.

    Args:
        code: W.
        width: of the hidden layers.
        layers: their number.
    """

    def __init__(self, code: PositiveInt, width: PositiveInt = 512, layers: PositiveInt = 4) -> None:
        super().__init__()
        widths = [code, *[width] * layers]
        self.layers = nn.ModuleList(Linear(a, b, gain=GAIN) for a, b in pairwise(widths))
        self.out = Linear(width, 1)

    def forward(self, codes: Tensor) -> Tensor:
        for layer in self.layers:
            codes = activate(layer(codes))
        logits: Tensor = self.out(codes)
        return logits.squeeze(1)
