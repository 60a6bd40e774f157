"""A small residual classifier of 32×32 images; its features are used for Fréchet distances and perceptual losses."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """Maps (N, inputs, H, W) to (N, outputs, ⌈H / 2⌉, ⌈W / 2⌉): the basic block of He et al. 2016.

    Its shortcut averages over 2×2 pixels, then mixes channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride=2)
        self.second = _convolution(outputs, outputs)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Classifier(nn.Module):
    """Maps images (N, C, H, W) in [-1, 1] to features (N, widths[-1]) and logits (N, K).

    A stem and residual blocks, then global average pooling and a linear layer.

    Args:
        channels: C.
        classes: K.
        widths: feature maps of the stem and of each block; the last is the dimension of the features.
    """

    def __init__(self, channels: int, classes: int, widths: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.stem = _convolution(channels, widths[0])
        self.blocks = nn.ModuleList(Residual(i, o) for i, o in pairwise(widths))
        self.head = nn.Linear(widths[-1], classes)

    def stages(self, images: Tensor) -> list[Tensor]:
        """Maps images (N, C, H, W) in [-1, 1] to the maps (N, F, h, w) of the stem and of each block.

        Each has half the height and width of the one before.
        """
        maps = [F.relu(self.stem(images))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.stages(images)[-1].mean((2, 3))
        return features, self.head(features)
