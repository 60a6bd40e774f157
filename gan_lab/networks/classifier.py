"""A small residual classifier for 32×32 pictures; its features serve Fréchet distances and perceptual terms."""

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
    """The basic block of He et al. 2016, at half the height and width; its shortcut averages, then mixes channels.

    (N, inputs, H, W) → (N, outputs, ceil(H / 2), ceil(W / 2)).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride=2)
        self.second = _convolution(outputs, outputs)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class Classifier(nn.Module):
    """A stem and one residual block a width, then global average pooling and a linear layer.

    Args:
        channels: channels of the pictures.
        classes: K, the number of logits.
        widths: channels of the stem and of each block; the last is the dimension of the features.
    """

    def __init__(self, channels: int, classes: int, widths: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.stem = _convolution(channels, widths[0])
        self.blocks = nn.ModuleList(Residual(i, o) for i, o in pairwise(widths))
        self.head = nn.Linear(widths[-1], classes)

    def stages(self, images: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) in [-1, 1] → the maps of the stem and of every block, each half as high and wide."""
        maps = [F.relu(self.stem(images))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) in [-1, 1] → features (N, widths[-1]), logits (N, K)."""
        features = self.stages(images)[-1].mean((2, 3))
        return features, self.head(features)
