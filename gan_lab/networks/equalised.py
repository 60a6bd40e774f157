"""Layers with equalised learning rates (Karras et al. 2018, section 4.1).

Weights are drawn from N(0, 1) and scaled in every pass, by what other layers scale them by once, when they are drawn.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks.filters import Filter

SLOPE, GAIN = 0.2, math.sqrt(2)


def activate(x: Tensor) -> Tensor:
    """Returns leaky ReLU of values of any shape, in their place.

    The layer before it scales by √2 = ``GAIN``, so that it nearly keeps their mean square.
    """
    return F.leaky_relu(x, SLOPE, inplace=True)


class Linear(nn.Module):
    """``gain`` times a linear map (N, inputs) → (N, outputs), with ``rate`` times other layers' equalised rate.

    Without ``scale_bias`` the gain is that of the weights alone.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: float = 0.0,
        rate: float = 1.0,
        gain: float = 1.0,
        scale_bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.gain, self.bias_gain = gain * rate / math.sqrt(inputs), rate * (gain if scale_bias else 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.bias_gain)


class Conv(nn.Module):
    """``gain`` times a convolution with an equalised learning rate: (N, inputs, H, W) → (N, outputs, H, W).

    If it halves the sides, it filters first, with [1 3 3 1]. Without ``scale_bias`` the gain is that of the weights
    alone.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        gain: float = 1.0,
        bias: bool = True,
        halve: bool = False,
        scale_bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.filter = Filter() if halve else None
        self.gain, self.bias_gain = gain / math.sqrt(self.weight[0].numel()), gain if scale_bias else 1.0

    def scaled(self) -> tuple[Tensor, Tensor | None]:
        """Returns the weights and the bias of this pass."""
        return self.weight * self.gain, None if self.bias is None else self.bias * self.bias_gain

    def forward(self, x: Tensor) -> Tensor:
        (weight, bias), side = self.scaled(), self.weight.shape[-1]
        if self.filter is None:
            return F.conv2d(x, weight, bias, padding=side // 2)
        if side == 1:
            return F.conv2d(self.filter.halved(x), weight, bias)
        return F.conv2d(self.filter.smoothed(x, 2), weight, bias, stride=2)
