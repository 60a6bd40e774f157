"""A small residual classifier of clips, with convolutions over time and space.

Its features are used for Fréchet distances.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm3d(outputs))


class Residual(nn.Module):
    """Maps (N, inputs, T, H, W) to (N, outputs, ⌈T / 2⌉, ⌈H / 2⌉, ⌈W / 2⌉): He et al.'s basic block (2016) in 3D."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(inputs, outputs, stride=2), _convolution(outputs, outputs)
        self.shortcut = nn.Conv3d(inputs, outputs, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class ClipClassifier(nn.Module):
    """Maps clips (N, T, C, H, W) in [-1, 1] to features (N, widths[-1]) and logits (N, K), for any number of frames.

    Args:
        channels: C.
        classes: K.
        widths: feature maps of the stem, which halves height and width, and of each block; the last is the dimension of
            the features.
    """

    def __init__(self, channels: int, classes: int, widths: Sequence[int] = (16, 32, 48, 64)) -> None:
        super().__init__()
        stem = nn.Conv3d(channels, widths[0], 3, (1, 2, 2), padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm3d(widths[0]), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*(Residual(i, o) for i, o in pairwise(widths)))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        features = self.blocks(self.stem(clips.transpose(1, 2))).mean((2, 3, 4))
        return features, self.head(features)
