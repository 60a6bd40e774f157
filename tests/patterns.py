"""Images whose statistics are known, and patterns to add to them."""

import torch
import torch.nn.functional as F


def pictures(n=16, side=32, seed=0):
    """Smooth coloured images in [-1, 1] with detail of all sizes."""
    noise = torch.Generator().manual_seed(seed)
    scales = [2, 4, 8, 16, side]
    parts = [
        F.interpolate(torch.randn(n, 3, each, each, generator=noise) / each, (side, side), mode="bicubic")
        for each in scales
    ]
    images = torch.stack(parts).sum(0)
    return (images / (2 * images.std())).clamp(-1, 1)


def pattern(side, rows, columns):
    grid = torch.arange(side)
    line = 1 - 2.0 * (grid % 2)
    return (line[:, None] if rows else 1) * (line if columns else 1) * torch.ones(side, side)
