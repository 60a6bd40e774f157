"""The gated PixelCNN (van den Oord et al. 2016b, "Conditional Image Generation with PixelCNN Decoders")."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks.layers import Dropout
from gan_lab.networks.masked_conv import Head, Raster, RowConv, Strip, groups, odd


def channels_last(x: Tensor) -> Tensor:
    """The same in the memory layout in which a CPU convolves so few maps fastest."""
    return x.contiguous(memory_format=torch.channels_last)


def gate(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Maps (N, 2 · maps, …) → (N, maps, …), eq. 2."""
    signal, opening = (x if bias is None else x + bias).chunk(2, 1)
    return torch.tanh(signal) * torch.sigmoid(opening)


@dataclass
class Memory:
    """What a layer keeps while values are drawn.

    Attributes:
        strip: of the horizontal stack.
        biases: see ``Layer.biases``.
        above: the rows above the current one that the vertical kernel reaches, (N, …, rows - 1, W).
        given: what the horizontal stack gets from the vertical one in the current row, (W, N, 2 · maps).
    """

    strip: Strip
    biases: tuple[Tensor | None, Tensor | None]
    above: Tensor
    given: Tensor


class Layer(nn.Module):
    """One layer of both stacks (figure 2). What comes into the vertical one at row i has seen the rows above i.

    The horizontal stack gets the vertical one's maps behind their gate, the paper's before it: half the weights, and
    no worse where both were tried.

    Args:
        before: the group of each map that comes in.
        after: the group of each map that goes out of the horizontal stack.
        size: (rows, columns) of the vertical kernel, whose last row is the current one.
        classes, dropout: see ``PixelCNN``.
        first: the horizontal stack does not see the value itself, and nothing is added to what comes in.
    """

    def __init__(
        self, before: Tensor, after: Tensor, size: tuple[int, int], classes: int, dropout: float, first: bool = False
    ) -> None:
        super().__init__()
        self.first, maps = first, len(after)
        self.vertical = nn.Conv2d(len(before), 2 * maps, size, padding=(0, size[1] // 2))
        self.across = nn.Conv2d(maps, 2 * maps, 1, bias=False)
        self.horizontal = RowConv(before, after.repeat(2), size[1] // 2, strict=first)
        self.out = RowConv(after, after)
        self.dropout = Dropout(dropout)
        self.classes = nn.Parameter(torch.zeros(classes, 4 * maps)) if classes else None
        with torch.no_grad():  # a gate lets less than half pass: with torch's own weights little gets through the stack
            for conv, gain in ((self.vertical, 3), (self.across, 2), (self.horizontal, 2)):
                conv.weight.mul_(gain)

    def biases(self, labels: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Of the vertical and the horizontal gates (section 2.3), (N, 2 · maps, 1, 1) each, if there are classes."""
        if self.classes is None:
            return None, None
        vertical, horizontal = self.classes[labels][:, :, None, None].chunk(2, 1)
        return vertical, horizontal

    def forward(self, v: Tensor, h: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        vertical, horizontal = self.biases(labels)
        v = gate(self.vertical(F.pad(v, (0, 0, self.vertical.kernel_size[0] - 1, 0))), vertical)
        y = gate(self.horizontal(h) + self.across(v), horizontal)
        y = self.out(self.dropout(y))
        return v, y if self.first else h + y

    def begin(self, n: int, width: int, labels: Tensor | None) -> Memory:
        conv = self.vertical
        above = conv.weight.new_zeros(n, conv.in_channels, conv.kernel_size[0] - 1, width)
        return Memory(self.horizontal.strip(n, width), self.biases(labels), above, above.new_empty(0))

    def row(self, memory: Memory, v: Tensor) -> Tensor:
        """The row's maps (N, …, 1, W) in the vertical stack → the next ones."""
        vertical, horizontal = memory.biases
        rows = torch.cat([memory.above, v], 2)
        memory.above = rows[:, :, 1:]
        v = gate(self.vertical(rows), vertical)
        given = self.across(v) + self.horizontal.bias[:, None, None]
        given = given if horizontal is None else given + horizontal
        memory.given = given[:, :, 0].permute(2, 0, 1).contiguous()
        return v

    def pixel(self, memory: Memory, h: Tensor, j: int) -> Tensor:
        """The maps (N, …) of column j in the horizontal stack → the next ones."""
        memory.strip.put(j, h)
        y = self.out.pixel(gate(memory.strip.pixel(j, memory.given[j])))
        return y if self.first else h + y


@dataclass
class State:
    """What the network keeps while values are drawn: where they are written to, and each layer's memory."""

    values: Tensor
    layers: list[Memory]


class PixelCNN(Raster):
    """Values (N, C, H, W), and labels (N,) if there are classes → logits (N, K, C, H, W).

    A vertical stack sees the rows above, a horizontal one the pixels left of a value and the vertical stack, so that
    there is no blind spot. With several channels the horizontal stack's maps stand in C groups (2016a, section 3.3).

    Args:
        channels, height, width: of the pictures; the network itself takes any height and width.
        levels: K.
        maps: of each stack.
        layers: how many, the first among them.
        kernel: side of a kernel before what is not to be seen is cut off, odd.
        first: the first layer's.
        head: maps between the last layer and the logits.
        classes: number of labels; then each gate has a bias for each.
        embed: see ``Raster``.
        dropout: share of the gates' outputs dropped in the horizontal stack.
    """

    layers: Any  # a ModuleList of Layer, which its type cannot say

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        levels: int = 256,
        maps: int = 64,
        layers: int = 10,
        kernel: int = 3,
        first: int = 7,
        head: int = 64,
        classes: int = 0,
        embed: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(levels, embed)
        odd(kernel=kernel, first=first)
        seen, after = groups(channels * max(embed, 1), channels), groups(maps, channels)
        self.layers = nn.ModuleList([Layer(seen, after, (first // 2, first), classes, dropout, first=True)])
        for _ in range(layers - 1):
            self.layers.append(Layer(after, after, (kernel // 2 + 1, kernel), classes, dropout))
        self.head = Head(after, head, channels, levels)

    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        v, h = F.pad(x, (0, 0, 1, -1)), x
        for layer in self.layers:
            v, h = layer(channels_last(v), channels_last(h), labels)
        return self.head(h)

    def begin(self, values: Tensor, labels: Tensor | None = None) -> State:
        """The state before the first row; values (N, C, H, W) is where the caller writes what it draws."""
        return State(values, [layer.begin(len(values), values.shape[3], labels) for layer in self.layers])

    def row(self, state: State, i: int) -> None:
        """Takes up row i, once all above it are written; rows come in turn."""
        above = max(i - 1, 0)
        v = self.inputs(state.values[:, :, above : above + 1]) * (i > 0)
        for layer, memory in zip(self.layers, state.layers, strict=True):
            v = layer.row(memory, v)

    def pixel(self, state: State, i: int, j: int) -> Tensor:
        """Logits (N, K, C) of the pixel: a channel's once the channels before it are written. Columns come in turn."""
        h = self.enter(state.layers[0].strip, state.values, i, j)
        for layer, memory in zip(self.layers, state.layers, strict=True):
            h = layer.pixel(memory, h, j)
        return self.head.pixel(h)
