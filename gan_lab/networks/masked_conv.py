"""What networks that give each value from the ones before it share: masked convolutions, logits, ways to draw values.

Before means in raster order, and the channels of a pixel in their own (van den Oord et al. 2016a, "Pixel Recurrent
Neural Networks", section 3).
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def groups(maps: int, channels: int) -> Tensor:
    """Which of the C channels each map stands for: C runs of maps, as equal as can be (2016a, section 3.3)."""
    return torch.arange(maps) * channels // maps


def odd(**sides: int) -> None:
    """Raises ValueError unless all are: a kernel has a middle."""
    for name, side in sides.items():
        if side % 2 != 1:
            raise ValueError(f"{name}={side} does not serve: give an odd number.")


@dataclass
class Strip:
    """What a ``RowConv`` keeps of the current row while values are drawn.

    Attributes:
        maps: of the row's pixels and of ``reach`` zeros left of them, (N, reach + W, maps in).
        taps: the kernel, ((reach + 1) · maps in, maps out).
    """

    maps: Tensor
    taps: Tensor
    reach: int

    def put(self, j: int, x: Tensor) -> None:
        self.maps[:, j + self.reach] = x

    def pixel(self, j: int, given: Tensor) -> Tensor:
        """The convolution at column j, without its bias, added to ``given`` (N, maps out)."""
        return torch.addmm(given, self.maps[:, j : j + self.reach + 1].flatten(1), self.taps)


class RowConv(nn.Conv2d):
    """Convolution over a pixel and the ``reach`` ones left of it, (N, maps in, H, W) → (N, maps out, H, W).

    Of the pixel itself a map sees the groups up to its own (mask B), or, if ``strict``, before its own (mask A).

    Args:
        before, after: the group of each map that comes in and goes out, see ``groups``.
        reach, strict: see above.
    """

    bias: Tensor
    mask: Tensor | None

    def __init__(self, before: Tensor, after: Tensor, reach: int = 0, strict: bool = False) -> None:
        super().__init__(len(before), len(after), (1, reach + 1))
        self.reach = reach
        own = before < after[:, None] if strict else before <= after[:, None]
        mask = torch.ones(self.weight.shape)
        mask[..., -1] = own[..., None]
        self.register_buffer("mask", None if own.all() else mask, persistent=False)

    def taps(self) -> Tensor:
        return self.weight if self.mask is None else self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (self.reach, 0)) if self.reach else x, self.taps(), self.bias)

    def pixel(self, x: Tensor) -> Tensor:
        """One pixel's maps (N, maps in) → (N, maps out), where ``reach`` is 0."""
        return F.linear(x, self.taps()[:, :, 0, 0], self.bias)

    def strip(self, n: int, width: int) -> Strip:
        maps = self.weight.new_zeros(n, self.reach + width, self.in_channels)
        return Strip(maps, self.taps()[:, :, 0].permute(2, 1, 0).flatten(0, 1).contiguous(), self.reach)


class Head(nn.Module):
    """Maps (N, …, H, W) → logits (N, K, C, H, W): twice a rectifier and a 1×1 convolution.

    Args:
        before: the group of each map that comes in.
        width: maps between the two.
        channels, levels: C, K.
    """

    def __init__(self, before: Tensor, width: int, channels: int, levels: int) -> None:
        super().__init__()
        self.shape = (levels, channels)
        self.hidden = RowConv(before, groups(width, channels))
        self.out = RowConv(groups(width, channels), torch.arange(channels).repeat(levels))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(F.relu(x)))).unflatten(1, self.shape)

    def pixel(self, x: Tensor) -> Tensor:
        """Maps (N, …) of one pixel → logits (N, K, C)."""
        return self.out.pixel(F.relu(self.hidden.pixel(F.relu(x)))).unflatten(1, self.shape)


class Raster(nn.Module):
    """Values (N, C, H, W) in 0 to K - 1 → logits (N, K, C, H, W) of each given the ones before it.

    To draw values one after the other, ``begin`` takes the tensor that they are written to, ``row`` is called at the
    start of each row and ``pixel`` at each pixel of it, once for each channel. They keep what they have computed of
    earlier pixels, so that a pixel costs a few small products of matrices. Their logits are ``forward``'s, but for
    dropout, which they leave out.

    Args:
        levels: K.
        embed: numbers that a value is embedded in, for codes without an order; 0 scales values to [-1, 1].
    """

    def __init__(self, levels: int, embed: int) -> None:
        super().__init__()
        self.levels = levels
        self.codes = nn.Embedding(levels, embed) if embed else None

    def inputs(self, values: Tensor) -> Tensor:
        """What the first layer sees, maps (N, C, H, W), or (N, C · embed, H, W)."""
        if self.codes is None:
            return values.to(next(self.parameters()).dtype) * (2 / (self.levels - 1)) - 1
        return self.codes(values).movedim(4, 2).flatten(1, 2)

    def enter(self, strip: Strip, values: Tensor, i: int, j: int) -> Tensor:
        """``inputs`` (N, …) at (i, j), into the strip as well, and again what is left of it, for it is finished now."""
        start = max(j - 1, 0)
        x = self.inputs(values[:, :, i : i + 1, start : j + 1])[:, :, 0]
        for column in range(start, j + 1):
            strip.put(column, x[:, :, column - start])
        return x[:, :, -1]

    @abstractmethod
    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """``forward`` from what ``inputs`` gives."""

    def forward(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.inputs(values), labels)
