"""Convolutions of small maps with many weights, as in the middle of a U-Net, as products of matrices."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW, MANY = 64, 1 << 18
"""Numbers of positions, over the batch, up to which, and of weights, from which on a product is faster on a CPU.

Measured with 512 to 1,024 maps of 1 to 16 px: 1.5 to 8 times as fast, forward and backward. The library's convolution
rearranges all weights in each pass, which takes longer than multiplying them by so few columns.
"""


class Conv2d(nn.Conv2d):
    """``nn.Conv2d``, equal to it within rounding."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C', H', W')."""
        size = _size_of(self, x) if _has_many_weights(self, x) else (0, 0)
        if min(size) < 1 or len(x) * size[0] * size[1] > FEW:
            return super().forward(x)
        kind = _product_type(x)
        columns = _windows(self, x.to(_sum_type(kind))).to(kind)  # gradients of overlapping windows add up in float32
        made = columns @ _matrix(self, kind).t()
        return _finished(self, made.view(len(x), *size, self.out_channels).permute(0, 3, 1, 2))


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d``, equal to it within rounding."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Maps (N, C, H, W) to (N, C', H', W')."""
        positions = x.shape[0] * x.shape[2] * x.shape[3]  # numel() would make an exported graph one of this size
        if output_size is not None or not _has_many_weights(self, x) or not 0 < positions <= FEW:
            return super().forward(x, output_size)
        kind, taps = _product_type(x), self.kernel_size[0] * self.kernel_size[1]
        columns = x.to(kind).permute(0, 2, 3, 1).reshape(positions, self.in_channels) @ _matrix(self, kind)
        if _is_channels_last(self.weight):
            columns = columns.view(positions, taps, self.out_channels).transpose(1, 2)
        columns = columns.reshape(len(x), -1, self.out_channels * taps).transpose(1, 2)
        steps = zip(x.shape[2:], self.stride, _padding(self), self.kernel_size, self.output_padding, strict=True)
        size = tuple((side - 1) * stride - 2 * pad + kernel + more for side, stride, pad, kernel, more in steps)
        made = F.fold(columns.to(_sum_type(kind)), size, self.kernel_size, 1, _padding(self), self.stride)
        return _finished(self, made.to(kind))


Layer = nn.Conv2d | nn.ConvTranspose2d


def _has_many_weights(layer: Layer, x: Tensor) -> bool:
    """Says whether the layer, on maps (N, C, H, W) on a CPU, has many weights and no option that a product lacks."""
    common = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    plain = common and not isinstance(layer.padding, str) and x.ndim == 4
    return plain and x.device.type == "cpu" and layer.weight.numel() >= MANY and not torch.compiler.is_compiling()


def _padding(layer: Layer) -> tuple[int, int]:
    """Returns the rows and the columns that are added on each side."""
    return int(layer.padding[0]), int(layer.padding[1])


def _size_of(layer: nn.Conv2d, x: Tensor) -> tuple[int, int]:
    """Returns the height and width of what a convolution makes of maps (N, C, H, W)."""
    steps = zip(x.shape[2:], _padding(layer), layer.kernel_size, layer.stride, strict=True)
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side, padding, kernel, stride in steps)
    return height, width


def _product_type(x: Tensor) -> torch.dtype:
    """Returns the type that convolutions of ``x`` compute in: autocast's, if it is on."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _sum_type(kind: torch.dtype) -> torch.dtype:
    """Returns the type that a few products of a type are added up in."""
    return torch.float32 if kind.itemsize == 2 else kind


def _is_channels_last(weight: Tensor) -> bool:
    return weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def _matrix(layer: Layer, kind: torch.dtype) -> Tensor:
    """Returns the weights as a matrix (first dimension, the others), in the order in which they lie in memory."""
    weight = layer.weight.to(kind)
    return (weight.permute(0, 2, 3, 1) if _is_channels_last(layer.weight) else weight).reshape(len(weight), -1)


def _windows(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Returns what the kernel sees at each position (N · H' · W', C · taps), in the order of ``_matrix``."""
    (high, wide), (kernel_height, kernel_width), (down, right) = _padding(layer), layer.kernel_size, layer.stride
    padded = F.pad(x, (wide, wide, high, high))
    seen = padded.unfold(2, kernel_height, down).unfold(3, kernel_width, right)
    order = (0, 2, 3, 4, 5, 1) if _is_channels_last(layer.weight) else (0, 2, 3, 1, 4, 5)
    return seen.permute(order).reshape(seen.shape[0] * seen.shape[2] * seen.shape[3], -1)


def _finished(layer: Layer, made: Tensor) -> Tensor:
    """Adds the bias to maps (N, C', H', W'), and gives them the memory layout of the weights."""
    if layer.bias is not None:
        made = made + layer.bias.to(made.dtype)[:, None, None]
    last = _is_channels_last(layer.weight)
    return made.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
