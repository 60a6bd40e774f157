"""The Row LSTM (van den Oord et al. 2016a, "Pixel Recurrent Neural Networks")."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks.layers import Dropout
from gan_lab.networks.masked_conv import Head, Raster, RowConv, Strip, groups, odd


def step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Gates (N, 4 · maps, …) before their nonlinearities, and the cell (N, maps, …) → hidden and cell, eq. 3."""
    opening, content = gates.tensor_split((3 * cell.shape[1],), 1)
    out, forget, write = torch.sigmoid(opening).chunk(3, 1)
    cell = forget * cell + write * torch.tanh(content)
    return out * torch.tanh(cell), cell


@dataclass
class Memory:
    """What a layer keeps while values are drawn.

    Attributes:
        strip: of the input-to-state convolution.
        bias: of the gates, the labels' among them, (N, 4 · maps, 1) or (4 · maps, 1).
        hidden, cell: of the row above, and left of the current pixel of the row itself, (W, N, maps).
        given: what the gates get from the row above, (W, N, 4 · maps).
        before: the row above's cell, (W, N, maps).
    """

    strip: Strip
    bias: Tensor
    hidden: Tensor
    cell: Tensor
    given: Tensor
    before: Tensor


class Layer(nn.Module):
    """x + an LSTM over the rows of x, as convolutions (sections 3.1 and 3.2), 2 · maps in and out, maps within.

    Args:
        maps: of the hidden state and of the cell.
        channels: C.
        kernel, classes, dropout: see ``RowLSTM``.
    """

    def __init__(self, maps: int, channels: int, kernel: int, classes: int, dropout: float) -> None:
        super().__init__()
        around, within = groups(2 * maps, channels), groups(maps, channels)
        self.input = RowConv(around, within.repeat(4), kernel // 2)
        self.state = nn.Conv1d(maps, 4 * maps, kernel, padding=kernel // 2, bias=False)
        self.out = RowConv(within, around)
        self.dropout = Dropout(dropout)
        self.classes = nn.Parameter(torch.zeros(classes, 4 * maps)) if classes else None

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        gates = self.input(x)
        if self.classes is not None:
            gates = gates + self.classes[labels][:, :, None, None]
        hidden = cell = x.new_zeros(len(x), self.out.in_channels, x.shape[3])
        rows = []
        for row in gates.unbind(2):
            hidden, cell = step(row + self.state(hidden), cell)
            rows.append(hidden)
        return x + self.out(self.dropout(torch.stack(rows, 2)))

    def begin(self, n: int, width: int, labels: Tensor | None) -> Memory:
        bias = self.input.bias[:, None]
        if self.classes is not None:
            bias = bias + self.classes[labels][:, :, None]
        zeros = bias.new_zeros(width, n, self.out.in_channels)
        return Memory(self.input.strip(n, width), bias, zeros, zeros.clone(), zeros, zeros)

    def row(self, memory: Memory) -> None:
        given = self.state(memory.hidden.permute(1, 2, 0)) + memory.bias
        memory.given = given.permute(2, 0, 1).contiguous()
        memory.before = memory.cell.clone()

    def pixel(self, memory: Memory, x: Tensor, j: int) -> Tensor:
        """The maps (N, 2 · maps) of column j → the next ones."""
        memory.strip.put(j, x)
        hidden, cell = step(memory.strip.pixel(j, memory.given[j]), memory.before[j])
        memory.hidden[j], memory.cell[j] = hidden, cell
        return x + self.out.pixel(hidden)


@dataclass
class State:
    """What the network keeps while values are drawn.

    Attributes:
        values: where they are written to.
        strip: of the first convolution's part in the current row.
        given: of its part above, (W, N, 2 · maps).
        layers: each layer's memory.
    """

    values: Tensor
    strip: Strip
    given: Tensor
    layers: list[Memory]


class RowLSTM(Raster):
    """Values (N, C, H, W), and labels (N,) if there are classes → logits (N, K, C, H, W).

    A convolution that does not see the value itself, then LSTMs that go from row to row. With several channels the
    maps stand in C groups. What is seen is a triangle: with r = first // 2, k = kernel // 2 and L layers, in the row
    itself the r + k · L values to the left; d rows above, the columns from r + k · (L + d) to the left up to
    r + k · (d - 1) to the right.

    Args:
        channels, height, width: of the pictures; the network itself takes any height and width.
        levels: K.
        maps: h, of the hidden states; between the layers there are 2 · h.
        layers: LSTMs, after the first convolution.
        kernel: columns of the LSTMs' convolutions, odd.
        first: side of the first convolution before what is not to be seen is cut off, odd.
        head: maps between the last layer and the logits.
        classes: number of labels; then the gates have a bias for each.
        embed: see ``raster.Raster``.
        dropout: share of the hidden states dropped on their way out of a layer.
    """

    layers: Any  # a ModuleList of Layer, which its type cannot say

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        levels: int = 256,
        maps: int = 32,
        layers: int = 4,
        kernel: int = 3,
        first: int = 7,
        head: int = 64,
        classes: int = 0,
        embed: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(levels, embed)
        odd(kernel=kernel, first=first)
        seen, after = groups(channels * max(embed, 1), channels), groups(2 * maps, channels)
        self.above = nn.Conv2d(len(seen), 2 * maps, (first // 2, first), padding=(0, first // 2), bias=False)
        self.left = RowConv(seen, after, first // 2, strict=True)
        self.layers = nn.ModuleList(Layer(maps, channels, kernel, classes, dropout) for _ in range(layers))
        self.head = Head(after, head, channels, levels)

    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.above(F.pad(x, (0, 0, self.left.reach, -1))) + self.left(x)
        for layer in self.layers:
            x = layer(x, labels)
        return self.head(x)

    def begin(self, values: Tensor, labels: Tensor | None = None) -> State:
        """The state before the first row; values (N, C, H, W) is where the caller writes what it draws."""
        n, width = len(values), values.shape[3]
        layers = [layer.begin(n, width, labels) for layer in self.layers]
        return State(values, self.left.strip(n, width), self.above.weight.new_empty(0), layers)

    def row(self, state: State, i: int) -> None:
        """Takes up row i, once all above it are written; rows come in turn."""
        reach = self.left.reach
        x = self.inputs(state.values[:, :, max(i - reach, 0) : i])
        given = self.above(F.pad(x, (0, 0, reach - x.shape[2], 0))) + self.left.bias[:, None, None]
        state.given = given[:, :, 0].permute(2, 0, 1).contiguous()
        for layer, memory in zip(self.layers, state.layers, strict=True):
            layer.row(memory)

    def pixel(self, state: State, i: int, j: int) -> Tensor:
        """Logits (N, K, C) of the pixel: a channel's once the channels before it are written. Columns come in turn."""
        self.enter(state.strip, state.values, i, j)
        x = state.strip.pixel(j, state.given[j])
        for layer, memory in zip(self.layers, state.layers, strict=True):
            x = layer.pixel(memory, x, j)
        return self.head.pixel(x)
