"""The low-pass filter [1 3 3 1] between resolutions (Karras et al. 2020, "StyleGAN2", appendix B)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Filter(nn.Module):
    """Filters each feature map alone, with [1 3 3 1] / 8 along both axes."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)

    def doubled(self, x: Tensor) -> Tensor:
        """Doubles the sides of maps (N, C, H, W)."""
        return F.conv_transpose2d(x, 4 * self._kernels(x), stride=2, padding=1, groups=x.shape[1])

    def halved(self, x: Tensor) -> Tensor:
        """Halves the sides of maps (N, C, H, W)."""
        return F.conv2d(x, self._kernels(x), stride=2, padding=1, groups=x.shape[1])

    def smoothed(self, x: Tensor, border: int) -> Tensor:
        """Filters maps (N, C, H, W) with a border of zeros; returns (N, C, H + 2 · border - 3, W + 2 · border - 3)."""
        return F.conv2d(x, self._kernels(x), padding=border, groups=x.shape[1])

    def _kernels(self, x: Tensor) -> Tensor:
        return self.kernel.expand(x.shape[1], -1, -1, -1)
