"""The feature layers of EfficientNet-Lite0 (Tan and Le 2019, "EfficientNet: Rethinking Model Scaling").

Its batch normalisation is folded into the convolutions, because the network only ever computes features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural
from gan_lab.common.errors import UserError


@dataclass(frozen=True)
class Stage:
    """Equal blocks, of which the first has the stride: the table of the paper, a row each."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


LITE0 = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
)
"""All stages but the last, which has 320 maps and the classes of ImageNet behind it."""


class SameConv2d(nn.Conv2d):
    """A convolution that maps (N, C, H, W) to (N, F, ⌈H / stride⌉, ⌈W / stride⌉), with TensorFlow's padding "same".

    An even side that is halved gets one pixel less before than behind: the published weights were trained so.
    """

    def forward(self, input: Tensor) -> Tensor:
        half, even = self.kernel_size[0] // 2, [self.stride[0] == 2 and side % 2 == 0 for side in input.shape[2:]]
        padded = F.pad(input, (half - even[1], half, half - even[0], half))
        return self._conv_forward(padded, self.weight, self.bias)


class InvertedResidual(nn.Module):
    """Maps (N, inputs, H, W) to (N, outputs, ⌈H / stride⌉, ⌈W / stride⌉): expansion, depthwise convolution, projection.

    Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks".
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu6(self.expand(x)) if self.expand is not None else x
        output = self.project(F.relu6(self.depthwise(hidden)))
        return x + output if self.residual else output


class EfficientNetLite(nn.Module):
    """Maps images (N, 3, H, W) in [-1, 1] of any size to the maps after some of the stages.

    Args:
        taps: numbers of these stages, counted from 0, in ascending order. There are no stages after the last.
        stages: the table of stages.

    Raises:
        UserError: for numbers that are no stages.
    """

    def __init__(self, taps: Sequence[Natural] = (4, 5), stages: Sequence[Stage] = LITE0) -> None:
        super().__init__()
        if not taps or not all(0 <= tap < len(stages) for tap in taps) or list(taps) != sorted(set(taps)):
            last = len(stages) - 1
            raise UserError(f"EfficientNet has no stages {list(taps)}: give ascending stages from 0 to {last}.")
        self.taps = tuple(taps)
        self.widths = [stages[tap].width for tap in taps]
        self.stem = SameConv2d(3, 32, 3, 2)
        self.stages = nn.ModuleList()
        width = 32
        for stage in stages[: self.taps[-1] + 1]:
            blocks = nn.Sequential()
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(InvertedResidual(width, stage.width, stage.kernel, stride, stage.expansion))
                width = stage.width
            self.stages.append(blocks)

    def forward(self, images: Tensor) -> list[Tensor]:
        with torch.autocast("cpu", enabled=False):  # its depthwise kernels for bfloat16 take 2.5 times as long
            x = F.relu6(self.stem(images.float() if images.device.type == "cpu" else images))
            maps = []
            for number, stage in enumerate(self.stages):
                x = stage(x)
                if number in self.taps:
                    maps.append(x)
        return maps
