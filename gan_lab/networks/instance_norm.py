"""Instance normalisation in the memory layout that it is given, and with exact gradients in each."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InstanceNorm2d(nn.InstanceNorm2d):
    """``nn.InstanceNorm2d`` of maps (N, C, H, W), equal to it within rounding, with the same parameters and arguments.

    On the CPU PyTorch's own copies channels_last maps, and the next convolution copies them back: a quarter of
    CycleGAN's step. For a batch of one it also returns wrong gradients if those of its output are channels_last (seen
    in torch 2.15: the view of a single map loses the stride that tells batch norm the layout). This one normalises each
    map as a group of its own, or each image as a batch of its own where the channels come last. It keeps its statistics
    in float32 under autocast. Other devices, and layers with running statistics, take PyTorch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Returns normalised maps (N, C, H, W).

        Raises:
            ValueError: for maps of one pixel, which have no deviation.
        """
        if x.device.type != "cpu" or self.track_running_stats or x.ndim != 4 or x.shape[2] * x.shape[3] < 2:
            return super().forward(x)
        return instance_norm(x, self.weight, self.bias, self.eps)


def instance_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float = 1e-5) -> Tensor:
    """Returns maps (N, C, H, W) of mean 0 and variance 1, times weight (C,), plus bias (C,); in the layout of ``x``."""
    maps = x.shape[1]
    if weight is None:  # with parameters in float32 the kernels keep statistics of 16-bit maps in float32 too
        kind = torch.float32 if x.dtype in (torch.bfloat16, torch.float16) else x.dtype
        weight, bias = x.new_ones(maps, dtype=kind), x.new_zeros(maps, dtype=kind)
    if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
        return F.group_norm(x.contiguous(), maps, weight, bias, eps)
    alone = [F.batch_norm(image, None, None, weight, bias, True, 0.0, eps) for image in x.split(1)]
    return torch.cat(alone) if len(alone) > 1 else alone[0]


def styled_instance_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Returns maps (N, C, H, W) of mean 0 and variance 1, times a weight and plus a bias for each map of each image.

    One pass normalises and scales: as a batch of N · C maps, or image by image where the channels come last.

    Args:
        x: (N, C, H, W).
        weight: (N, C).
        bias: (N, C).
        eps: added to the variance.
    """
    kind = torch.float32 if x.dtype in (torch.bfloat16, torch.float16) else x.dtype
    weight, bias = weight.to(kind), bias.to(kind)
    if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
        rows = x.reshape(1, -1, *x.shape[2:])
        return F.batch_norm(rows, None, None, weight.flatten(), bias.flatten(), True, 0.0, eps).view(x.shape)
    images = zip(x.split(1), weight, bias, strict=True)
    alone = [F.batch_norm(image, None, None, w, b, True, 0.0, eps) for image, w, b in images]
    return torch.cat(alone) if len(alone) > 1 else alone[0]
