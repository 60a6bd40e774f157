"""A generator in which unit k draws a disc at a known place, and its segmenter."""

import torch
import torch.nn.functional as F
from torch import nn

PLACES = ((4, 4), (4, 11), (11, 6))
"""Row and column of the middle of each disc, in a map of 16×16."""
RADIUS = 3.0
IDLE = 3
"""Units that draw nothing."""


class Hats(nn.Module):
    """Maps (n, 3) to maps (n, 6, 16, 16): a hat at each place where the number is above 0, and noise."""

    def forward(self, latents):
        line = torch.arange(16.0)
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        squares = torch.stack([(rows - row) ** 2 + (columns - column) ** 2 for row, column in PLACES])
        hats = (1 - squares / RADIUS**2).clamp(min=0)
        noise = torch.rand(len(latents), IDLE, 16, 16, generator=torch.Generator().manual_seed(len(latents)))
        return torch.cat([hats * (latents > 0)[:, :, None, None], noise], 1)


class Discs(nn.Module):
    """Grey images of 32×32 with up to three discs of different shades on black."""

    def __init__(self):
        super().__init__()
        self.hats = Hats()

    def latents(self, n, seed=0, start=0, truncation=1.0, label=None):
        return torch.stack(
            [torch.randn(3, generator=torch.Generator().manual_seed(1000 * seed + start + i)) for i in range(n)]
        )

    def decode(self, latents, label=None):
        maps = self.hats(latents)
        large = F.interpolate(maps[:, :3], scale_factor=2.0, mode="bilinear", align_corners=False)
        shades = (large > 0) * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)
        maps.zero_()  # as layers that work in place do
        return shades.amax(1, keepdim=True) * 2 / 3 - 1


def shade(images):
    """The number of the disc that a pixel belongs to, 0 on black."""
    return ((images[:, 0] + 1) * 1.5).round().long()
