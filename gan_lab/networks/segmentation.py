"""A small U-Net that finds the class of each pixel (Ronneberger et al. 2015, at half the resolution)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt


class SegmentationUNet(nn.Module):
    """Maps images (N, C, H, W) in [-1, 1] to logits (N, K, H, W): four scales with skip connections.

    Logits are computed at half the resolution and enlarged.

    Args:
        channels: C.
        labels: K.
        filters: channels of the first scale; the others have 2, 4 and 4 times as many.
    """

    def __init__(self, channels: PositiveInt, labels: PositiveInt, filters: PositiveInt = 16) -> None:
        super().__init__()
        widths = [filters, 2 * filters, 4 * filters, 4 * filters]
        self.down = nn.ModuleList(_scale(a, b, 2) for a, b in pairwise([channels, *widths]))
        self.up = nn.ModuleList(_scale(a + b, b, 1) for a, b in pairwise(widths[::-1]))
        self.out = nn.Conv2d(filters, labels, 1)

    def forward(self, images: Tensor) -> Tensor:
        skips, x = [], images
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        for layer, skip in zip(self.up, skips[-2::-1], strict=True):
            x = layer(torch.cat([F.interpolate(x, skip.shape[2:]), skip], 1))
        return F.interpolate(self.out(x), images.shape[2:], mode="bilinear")


def _scale(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(inputs, outputs, stride), *_convolution(outputs, outputs, 1))


def _convolution(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
