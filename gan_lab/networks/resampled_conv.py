"""3×3 convolutions before a halving and after a doubling of the sides, each as one convolution of stride 2.

Both are linear, so they are one convolution with a 4×4 kernel. It has 16 products for each pixel of the small maps,
where the two have 36.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEWEST = 256
"""Pixels of the small maps of a batch from which one convolution takes less time than two steps, with its kernel."""


class PooledConv2d(nn.Conv2d):
    """A 3×3 convolution within a border of zeros, then means of 2×2 pixels: (N, C, H, W) → (N, C', H / 2, W / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return pooled_conv(x, self.weight, self.bias)


class DoubledConv2d(nn.Conv2d):
    """A 3×3 convolution, within a border of zeros, of maps with each pixel repeated 2×2 times: (N, C, H, W) →
    (N, C', 2 H, 2 W).
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return doubled_conv(x, self.weight, self.bias)


def pooled_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Acts as ``PooledConv2d``: maps x (N, C, H, W), weight (C', C, 3, 3), bias (C',) → (N, C', H / 2, W / 2)."""
    if _few(x, 4):
        return F.avg_pool2d(F.conv2d(x, weight, bias, padding=1), 2)
    return F.conv2d(x, _spread(weight) / 4, bias, stride=2, padding=1)


def doubled_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Acts as ``DoubledConv2d``: maps x (N, C, H, W), weight (C', C, 3, 3), bias (C',) → (N, C', 2 H, 2 W)."""
    if _few(x):
        return F.conv2d(F.interpolate(x, scale_factor=2), weight, bias, padding=1)
    kernel = _spread(weight).flip(2, 3).transpose(0, 1)
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


def _few(x: Tensor, pixels: int = 1) -> bool:
    """Says whether maps (N, C, H, W) have too few pixels, divided by ``pixels``, to make a kernel for.

    An exported graph is for any number of images, and has two steps.
    """
    return torch.compiler.is_exporting() or x.shape[0] * x.shape[2] * x.shape[3] < FEWEST * pixels


def _spread(kernel: Tensor) -> Tensor:
    """Returns the sums of 2×2 neighbours of a 3×3 kernel within a border of zeros: (C', C, 3, 3) → (C', C, 4, 4)."""
    rows, columns = (torch.arange(count, device=kernel.device) for count in (3, 4))
    along = ((columns == rows[:, None]) | (columns == rows[:, None] + 1)).to(kernel)
    # One product of matrices reads and writes the kernel once.
    both = torch.einsum("ij,kl->ikjl", along, along)
    return torch.tensordot(kernel, both, dims=2)
