"""Decomposition of networks into parts that can be computed strip by strip (see ``gan_lab.inference.tiling.exact``)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks import resnet
from gan_lab.networks.resampled_conv import DoubledConv2d, PooledConv2d

Function = Callable[[Tensor], Tensor]


class InseparableError(Exception):
    """Raised for a module that is not known to work on a neighbourhood of each pixel."""


@dataclass(frozen=True)
class Pointwise:
    """A function of each pixel alone."""

    run: Function


@dataclass(frozen=True)
class Norm:
    """A function of each pixel, given mean and variance of every channel over the whole image.

    Args:
        affine: mean and variance (C,) → centre, factor and offset (C,) of (x - centre) · factor + offset.
    """

    affine: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]

    def with_statistics(self, mean: Tensor, variance: Tensor) -> Function:
        """Returns the function of images (N, C, H, W) under a mean (C,) and a variance (C,); it works in place."""
        centre, factor, offset = (each[:, None, None] for each in self.affine(mean, variance))
        return lambda x: x.sub_(centre).mul_(factor).add_(offset)


@dataclass(frozen=True)
class Window:
    """A padding, then a function of a window around each pixel.

    Args:
        run: padded rows → rows of the result; it adds no vertical padding of its own.
        channels: channels of the result; None leaves their number unchanged.
        kernel: rows of the window.
        stride: rows from one window to the next; of a transposed convolution, rows of the result for each input row.
        pad: padding (left, right, top, bottom).
        mode: kind of padding: "zeros", "reflect" or "replicate".
        transposed: whether it is a transposed convolution.
        cut: rows that a transposed convolution removes at the top of its result.
        extra: rows by which it removes fewer at the bottom (``output_padding``).
    """

    run: Function
    channels: int | None = None
    kernel: int = 1
    stride: int = 1
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    mode: str = "zeros"
    transposed: bool = False
    cut: int = 0
    extra: int = 0

    def height(self, height: int) -> int:
        """Returns the number of rows of the result for ``height`` rows of unpadded input."""
        height += self.pad[2] + self.pad[3]
        if self.transposed:
            return (height - 1) * self.stride + self.kernel - 2 * self.cut + self.extra
        return (height - self.kernel) // self.stride + 1

    def input_rows(self, start: int, stop: int, height: int) -> tuple[int, int]:
        """Returns first and last + 1 of the padded rows that rows start … stop - 1 of the result depend on."""
        if not self.transposed:
            return start * self.stride, (stop - 1) * self.stride + self.kernel
        last = height + self.pad[2] + self.pad[3]
        first = -((self.kernel - 1 - start - self.cut) // self.stride)
        return min(max(first, 0), last - 1), min((stop - 1 + self.cut) // self.stride + 1, last)

    def output_rows(self, padded: Tensor, start: int, stop: int, first: int) -> Tensor:
        """Computes rows start … stop - 1 of the result, (N, C', rows, W').

        Args:
            padded: padded rows (N, C, rows, W) of the input.
            start: first row of the result.
            stop: last row of the result + 1.
            first: number of the first padded row.
        """
        result = self.run(padded)
        if not self.transposed:
            return result
        top = start + self.cut - first * self.stride
        return result[:, :, top : top + stop - start]

    def whole(self, x: Tensor) -> Tensor:
        """Computes the result for a whole image (N, C, H, W)."""
        height = x.shape[-2]
        padded = F.pad(x, self.pad, mode="constant" if self.mode == "zeros" else self.mode) if any(self.pad) else x
        return self.output_rows(padded, 0, self.height(height), 0)

    @property
    def scale(self) -> float:
        """Rows of the result for each row of the input."""
        return self.stride if self.transposed else 1 / self.stride

    @property
    def radius(self) -> int:
        """Largest distance, in rows of the input, from a pixel of the result to a pixel that it depends on."""
        return -(-self.kernel // self.stride) if self.transposed else max(self.pad[2], self.kernel - 1 - self.pad[2])


@dataclass(frozen=True)
class Skip:
    """A residual connection: x + parts(x)."""

    parts: Sequence["Part"]


Part = Pointwise | Norm | Window | Skip


def decompose(network: nn.Module) -> list[Part] | None:
    """Returns the parts of a network in evaluation mode, in their order; None if a module has no known decomposition.

    It knows the residual generators of ``gan_lab.networks.resnet`` and ``nn.Sequential`` of the layers they consist of.
    """
    try:
        return _joined(_parts(network))
    except InseparableError:
        return None


def halo(parts: Sequence[Part]) -> int:
    """Returns an upper bound of the distance in pixels over which the result depends on the input, norms aside."""
    reach, step = 0.0, 1.0
    for part in _windows(parts):
        reach += step * part.radius
        step /= part.scale
    return math.ceil(reach)


def _windows(parts: Sequence[Part]) -> list[Window]:
    found: list[Window] = []
    for part in parts:
        found += _windows(part.parts) if isinstance(part, Skip) else [part] if isinstance(part, Window) else []
    return found


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Merges a separate padding into the next window if that window has none."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Window) and isinstance(last, Window) and last.run is _identity and not any(part.pad):
            joined[-1] = replace(part, pad=last.pad, mode=last.mode)
        else:
            joined.append(part)
    return joined


def _identity(x: Tensor) -> Tensor:
    return x


@singledispatch
def _parts(module: nn.Module) -> list[Part]:
    raise InseparableError(type(module).__name__)


@_parts.register
def _(module: nn.Sequential) -> list[Part]:
    return [part for layer in module for part in _parts(layer)]


@_parts.register
def _(module: resnet.Generator) -> list[Part]:
    return _parts(module.layers)


@_parts.register
def _(module: resnet.ResidualBlock) -> list[Part]:
    return [Skip(_joined(_parts(module.layers)))]


@_parts.register(nn.Identity)
@_parts.register(nn.Dropout)
def _(_: nn.Module) -> list[Part]:
    return []


@_parts.register(nn.ReLU)
@_parts.register(nn.LeakyReLU)
@_parts.register(nn.SiLU)
@_parts.register(nn.Tanh)
@_parts.register(nn.Sigmoid)
@_parts.register(nn.BatchNorm2d)
def _(module: nn.Module) -> list[Part]:
    return [Pointwise(module)]


@_parts.register
def _(module: nn.InstanceNorm2d) -> list[Part]:
    if module.track_running_stats:
        return [Pointwise(module)]
    return [Norm(lambda mean, variance: _affine(module, mean, (variance + module.eps).rsqrt()))]


@_parts.register
def _(module: nn.GroupNorm) -> list[Part]:
    def affine(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        grouped = mean.view(module.num_groups, -1)
        centre = grouped.mean(1, keepdim=True)
        spread = (variance.view_as(grouped) + (grouped - centre).square()).mean(1, keepdim=True)
        factor = (spread + module.eps).rsqrt()
        return _affine(module, centre.expand_as(grouped).flatten(), factor.expand_as(grouped).flatten())

    return [Norm(affine)]


def _affine(module: nn.InstanceNorm2d | nn.GroupNorm, centre: Tensor, factor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if not module.affine:
        return centre, factor, torch.zeros_like(centre)
    return centre, factor * module.weight, module.bias.detach()


@_parts.register
def _(module: nn.ReflectionPad2d) -> list[Part]:
    return [Window(_identity, pad=module.padding, mode="reflect")]


@_parts.register
def _(module: nn.ReplicationPad2d) -> list[Part]:
    return [Window(_identity, pad=module.padding, mode="replicate")]


@_parts.register
def _(module: nn.Conv2d) -> list[Part]:
    if isinstance(module, DoubledConv2d | PooledConv2d):
        raise InseparableError(type(module).__name__)
    if isinstance(module.padding, str) or module.padding_mode not in ("zeros", "reflect", "replicate"):
        raise InseparableError("Conv2d")
    high, wide = module.padding
    return [
        Window(
            lambda x: F.conv2d(x, module.weight, module.bias, module.stride, 0, module.dilation, module.groups),
            module.out_channels,
            module.dilation[0] * (module.kernel_size[0] - 1) + 1,
            module.stride[0],
            (wide, wide, high, high),
            module.padding_mode,
        )
    ]


@_parts.register
def _(module: nn.ConvTranspose2d) -> list[Part]:
    cut, wide = (int(side) for side in module.padding)
    extra = module.output_padding

    def run(x: Tensor) -> Tensor:
        weight, bias, groups = module.weight, module.bias, module.groups
        return F.conv_transpose2d(x, weight, bias, module.stride, (0, wide), extra, groups, module.dilation)

    kernel = module.dilation[0] * (module.kernel_size[0] - 1) + 1
    return [Window(run, module.out_channels, kernel, module.stride[0], transposed=True, cut=cut, extra=extra[0])]


@_parts.register
def _(module: nn.Upsample) -> list[Part]:
    if module.mode != "nearest" or module.scale_factor != 2:
        raise InseparableError("Upsample")
    return [Window(module, kernel=2, stride=2, transposed=True)]


@_parts.register
def _(module: resnet.BlurDown) -> list[Part]:
    def run(x: Tensor) -> Tensor:
        return F.conv2d(x, module.kernel, stride=2, groups=x.shape[1])

    return [Window(run, kernel=3, stride=2, pad=(1, 1, 1, 1), mode="reflect")]


@_parts.register
def _(module: resnet.BlurUp) -> list[Part]:
    def run(x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, module.kernel, stride=2, padding=(0, 3), groups=x.shape[1])

    return [Window(run, kernel=4, stride=2, pad=(1, 1, 1, 1), mode="replicate", transposed=True, cut=3)]
