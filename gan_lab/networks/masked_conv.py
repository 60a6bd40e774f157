"""Masked convolutions of autoregressive networks, and the interface by which values are generated from such networks.

Values are ordered by raster scan, and the channels of a pixel by their index (van den Oord et al. 2016a, "Pixel
Recurrent Neural Networks", section 3).
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt


def channel_groups(maps: int, channels: int) -> Tensor:
    """Returns the image channel that each feature map belongs to, int64 (maps,): C groups of about equal size.

    2016a, section 3.3.
    """
    return torch.arange(maps) * channels // maps


def check_odd(**sizes: int) -> None:
    """Checks that kernel sizes are odd: a kernel needs a middle.

    Raises:
        ValueError: unless every kernel size is odd.
    """
    for name, size in sizes.items():
        if size % 2 != 1:
            raise ValueError(f"{name}={size} is not valid: give an odd number.")


@dataclass
class RowCache:
    """The input of a ``RowConv`` in the current row, while values are generated.

    Attributes:
        maps: the row's pixels after ``reach`` zeros, (N, reach + W, maps in).
        weight: the kernel, ((reach + 1) · maps in, maps out).
        reach: pixels to the left that the kernel covers.
    """

    maps: Tensor
    weight: Tensor
    reach: int

    def write(self, j: int, x: Tensor) -> None:
        """Stores the input x (N, maps in) of column j."""
        self.maps[:, j + self.reach] = x

    def at_pixel(self, j: int, bias: Tensor) -> Tensor:
        """Returns the convolution at column j plus ``bias`` (N, maps out), (N, maps out)."""
        return torch.addmm(bias, self.maps[:, j : j + self.reach + 1].flatten(1), self.weight)


class RowConv(nn.Conv2d):
    """A convolution over a pixel and the ``reach`` pixels to its left: (N, maps in, H, W) → (N, maps out, H, W).

    At the pixel itself, an output map depends on the groups up to its own (mask B), or, if ``strict``, on the groups
    before its own (mask A).

    Args:
        before, after: the group of each input map, (maps in,), and of each output map, (maps out,); see
            ``channel_groups``.
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

    def masked_weight(self) -> Tensor:
        """Returns the kernel with masked weights set to 0, (maps out, maps in, 1, reach + 1)."""
        return self.weight if self.mask is None else self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (self.reach, 0)) if self.reach else x, self.masked_weight(), self.bias)

    def at_pixel(self, x: Tensor) -> Tensor:
        """Maps one pixel's input (N, maps in) to its output (N, maps out); for ``reach`` = 0 only."""
        return F.linear(x, self.masked_weight()[:, :, 0, 0], self.bias)

    def cache(self, n: int, width: int) -> RowCache:
        """Returns an empty cache for N rows of W pixels."""
        maps = self.weight.new_zeros(n, self.reach + width, self.in_channels)
        return RowCache(maps, self.masked_weight()[:, :, 0].permute(2, 1, 0).flatten(0, 1).contiguous(), self.reach)


class Head(nn.Module):
    """Maps features (N, F, H, W) to logits (N, K, C, H, W): ReLU and a 1×1 convolution, twice.

    Args:
        before: the group of each input map, (F,).
        width: feature maps between the two convolutions.
        channels, levels: C, K.
    """

    def __init__(self, before: Tensor, width: int, channels: int, levels: int) -> None:
        super().__init__()
        self.shape = (levels, channels)
        self.hidden = RowConv(before, channel_groups(width, channels))
        self.out = RowConv(channel_groups(width, channels), torch.arange(channels).repeat(levels))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(F.relu(x)))).unflatten(1, self.shape)

    def at_pixel(self, x: Tensor) -> Tensor:
        """Maps the features (N, F) of one pixel to its logits (N, K, C)."""
        return self.out.at_pixel(F.relu(self.hidden.at_pixel(F.relu(x)))).unflatten(1, self.shape)


class AutoregressiveNetwork(nn.Module):
    """Maps values (N, C, H, W) in 0 to K - 1 to logits (N, K, C, H, W) of each value given the values before it.

    To generate values one after the other, call ``init_state`` with the tensor that the values are written to,
    ``start_row`` at the start of each row, and ``at_pixel`` at each of its pixels, once for each channel. These keep
    intermediate results of earlier pixels, so that a pixel costs a few small matrix products. Their logits equal
    those of ``forward`` without dropout.

    Args:
        levels: K.
        embed: dimension of an embedding of values, for codes without an order; 0 scales values to [-1, 1] instead.
    """

    def __init__(self, levels: PositiveInt, embed: Natural) -> None:
        super().__init__()
        self.levels = levels
        self.codes = nn.Embedding(levels, embed) if embed else None

    def embed(self, values: Tensor) -> Tensor:
        """Maps values (N, C, H, W) to the first layer's input (N, C, H, W), or (N, C · embed, H, W)."""
        if self.codes is None:
            return values.to(next(self.parameters()).dtype) * (2 / (self.levels - 1)) - 1
        return self.codes(values).movedim(4, 2).flatten(1, 2)

    def update_cache(self, cache: RowCache, values: Tensor, i: int, j: int) -> Tensor:
        """Embeds the pixel (i, j) of the values (N, C, H, W), and writes it to the cache; returns it, (N, F).

        The pixel to its left is written again, because all its channels are known only now.
        """
        start = max(j - 1, 0)
        x = self.embed(values[:, :, i : i + 1, start : j + 1])[:, :, 0]
        for column in range(start, j + 1):
            cache.write(column, x[:, :, column - start])
        return x[:, :, -1]

    @abstractmethod
    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Maps embedded values (N, F, H, W), and labels (N,) if conditional, to logits (N, K, C, H, W)."""

    def forward(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.logits(self.embed(values), labels)
