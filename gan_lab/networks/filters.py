"""Fixed low-pass filters of feature maps, which halve or double their sides."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Filter(nn.Module):
    """Filters each feature map alone, by [1 3 3 1] / 8 along both axes (Karras et al. 2020, StyleGAN2, appendix B)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(line, line)[None, None], persistent=False)

    def doubled(self, x: Tensor) -> Tensor:
        """Doubles the sides of maps (N, C, H, W)."""
        return doubled(x, 4 * self.kernel, padding=1)

    def halved(self, x: Tensor) -> Tensor:
        """Halves the sides of maps (N, C, H, W)."""
        return halved(x, self.kernel, padding=1)

    def smoothed(self, x: Tensor, border: int) -> Tensor:
        """Filters maps (N, C, H, W) with a border of zeros; returns (N, C, H + 2 · border - 3, W + 2 · border - 3)."""
        return F.conv2d(x, self.kernel.expand(x.shape[1], -1, -1, -1), padding=border, groups=x.shape[1])


def halved(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Returns every second pixel of maps (N, C, H, W) filtered by a kernel (1 or C, 1, k, k)."""
    with torch.autocast(x.device.type, enabled=False):
        own = _quick(x)
        kernels = kernel.to(own.dtype).expand(x.shape[1], -1, -1, -1)
        return F.conv2d(own, kernels, stride=2, padding=padding, groups=x.shape[1]).to(x.dtype)


def doubled(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Returns maps (N, C, H, W) with zeros between pixels, filtered by a kernel (1 or C, 1, k, k): the transpose of
    ``halved``.
    """
    with torch.autocast(x.device.type, enabled=False):
        own = _quick(x)
        kernels = kernel.to(own.dtype).expand(x.shape[1], -1, -1, -1)
        return F.conv_transpose2d(own, kernels, stride=2, padding=padding, groups=x.shape[1]).to(x.dtype)


def _quick(x: Tensor) -> Tensor:
    """Returns maps in float32 on a CPU: its strided depthwise kernels for bfloat16 take 10 to 60 times as long."""
    return x.float() if x.device.type == "cpu" and x.dtype == torch.bfloat16 else x
