"""The Row LSTM (van den Oord et al. 2016a, "Pixel Recurrent Neural Networks")."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt, Probability
from gan_lab.networks.layers import Dropout
from gan_lab.networks.masked_conv import AutoregressiveNetwork, Head, RowCache, RowConv, channel_groups, check_odd


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Computes an LSTM step, eq. 3.

    Args:
        gates: (N, 4 · maps, …) before their nonlinearities: output, forget and input gate, and content.
        cell: (N, maps, …).

    Returns:
        the next hidden state and cell, (N, maps, …) each.
    """
    opening, content = gates.tensor_split((3 * cell.shape[1],), 1)
    out, forget, write = torch.sigmoid(opening).chunk(3, 1)
    cell = forget * cell + write * torch.tanh(content)
    return out * torch.tanh(cell), cell


@dataclass
class Memory:
    """Intermediate results of a layer while values are generated.

    Attributes:
        cache: input of the input-to-state convolution in the current row.
        bias: of the gates, the labels' included, (N, 4 · maps, 1) or (4 · maps, 1).
        hidden, cell: of the current row up to the current pixel, and of the row above from there on, (W, N, maps).
        from_above: the contribution of the row above to the gates, (W, N, 4 · maps).
        cell_above: cell of the row above, (W, N, maps).
    """

    cache: RowCache
    bias: Tensor
    hidden: Tensor
    cell: Tensor
    from_above: Tensor
    cell_above: Tensor


class Layer(nn.Module):
    """Computes x + an LSTM over the rows of x by convolutions: (N, 2 · maps, H, W) → (N, 2 · maps, H, W).

    Sections 3.1 and 3.2. With classes, labels are (N,).

    Args:
        maps: feature maps of the hidden state and of the cell.
        channels: C.
        kernel, classes, dropout: see ``RowLSTM``.
    """

    def __init__(self, maps: int, channels: int, kernel: int, classes: int, dropout: float) -> None:
        super().__init__()
        outer, inner = channel_groups(2 * maps, channels), channel_groups(maps, channels)
        self.input = RowConv(outer, inner.repeat(4), kernel // 2)
        self.state = nn.Conv1d(maps, 4 * maps, kernel, padding=kernel // 2, bias=False)
        self.out = RowConv(inner, outer)
        self.dropout = Dropout(dropout)
        self.classes = nn.Parameter(torch.zeros(classes, 4 * maps)) if classes else None

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        gates = self.input(x)
        if self.classes is not None:
            gates = gates + self.classes[labels][:, :, None, None]
        hidden = cell = x.new_zeros(len(x), self.out.in_channels, x.shape[3])
        rows = []
        for row in gates.unbind(2):
            hidden, cell = lstm_step(row + self.state(hidden), cell)
            rows.append(hidden)
        return x + self.out(self.dropout(torch.stack(rows, 2)))

    def init_memory(self, n: int, width: int, labels: Tensor | None) -> Memory:
        """Returns the memory before the first row, for N images of width W with labels (N,) if conditional."""
        bias = self.input.bias[:, None]
        if self.classes is not None:
            bias = bias + self.classes[labels][:, :, None]
        zeros = bias.new_zeros(width, n, self.out.in_channels)
        return Memory(self.input.cache(n, width), bias, zeros, zeros.clone(), zeros, zeros)

    def start_row(self, memory: Memory) -> None:
        """Computes the contribution of the row above, the values of which are all written."""
        gates = self.state(memory.hidden.permute(1, 2, 0)) + memory.bias
        memory.from_above = gates.permute(2, 0, 1).contiguous()
        memory.cell_above = memory.cell.clone()

    def at_pixel(self, memory: Memory, x: Tensor, j: int) -> Tensor:
        """Maps the input (N, 2 · maps) of column j to the output (N, 2 · maps)."""
        memory.cache.write(j, x)
        hidden, cell = lstm_step(memory.cache.at_pixel(j, memory.from_above[j]), memory.cell_above[j])
        memory.hidden[j], memory.cell[j] = hidden, cell
        return x + self.out.at_pixel(hidden)


@dataclass
class State:
    """Intermediate results of the network while values are generated.

    Attributes:
        values: (N, C, H, W), the tensor that the caller writes generated values to.
        cache: input of the first convolution in the current row.
        from_above: the contribution of the rows above to the first convolution, (W, N, 2 · maps).
        layers: each layer's memory.
    """

    values: Tensor
    cache: RowCache
    from_above: Tensor
    layers: list[Memory]


class RowLSTM(AutoregressiveNetwork):
    """Maps values (N, C, H, W) and, if conditional, labels (N,) to logits (N, K, C, H, W).

    A convolution that does not see the value itself, then LSTMs over the rows. With several channels the maps are
    divided into C groups. The receptive field is a triangle. With r = first // 2, k = kernel // 2 and L layers, it
    has the r + k · L values to the left in the row itself; d rows above, it has the columns from r + k · (L + d) to
    the left up to r + k · (d - 1) to the right.

    Args:
        channels, height, width: size of the images; the network itself accepts any height and width.
        levels: K.
        maps: h, feature maps of the hidden states; there are 2 · h between the layers.
        layers: number of LSTMs, which follow the first convolution.
        kernel: columns of the LSTMs' convolutions, odd.
        first: kernel size of the first convolution before masking, odd.
        head: feature maps between the last layer and the logits.
        classes: number of labels; if not 0, gates have a bias for each label.
        embed: see ``AutoregressiveNetwork``.
        dropout: dropout probability of the hidden states at the output of a layer.

    Raises:
        ValueError: for an even kernel size.
    """

    layers: nn.ModuleList

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        levels: PositiveInt = 256,
        maps: PositiveInt = 32,
        layers: PositiveInt = 4,
        kernel: PositiveInt = 3,
        first: PositiveInt = 7,
        head: PositiveInt = 64,
        classes: Natural = 0,
        embed: Natural = 0,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(levels, embed)
        check_odd(kernel=kernel, first=first)
        before, after = channel_groups(channels * max(embed, 1), channels), channel_groups(2 * maps, channels)
        self.above = nn.Conv2d(len(before), 2 * maps, (first // 2, first), padding=(0, first // 2), bias=False)
        self.left = RowConv(before, after, first // 2, strict=True)
        self.layers = nn.ModuleList(Layer(maps, channels, kernel, classes, dropout) for _ in range(layers))
        self.head = Head(after, head, channels, levels)

    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.above(F.pad(x, (0, 0, self.left.reach, -1))) + self.left(x)
        for layer in self.layers:
            x = layer(x, labels)
        return self.head(x)

    def init_state(self, values: Tensor, labels: Tensor | None = None) -> State:
        """Returns the state before the first row.

        Args:
            values: (N, C, H, W), the tensor that the caller writes generated values to.
            labels: (N,), if conditional.
        """
        n, width = len(values), values.shape[3]
        memories = [layer.init_memory(n, width, labels) for layer in self._layers()]
        return State(values, self.left.cache(n, width), self.above.weight.new_empty(0), memories)

    def start_row(self, state: State, i: int) -> None:
        """Prepares row i; rows come in order, each after the values of all rows above it are written."""
        reach = self.left.reach
        x = self.embed(state.values[:, :, max(i - reach, 0) : i])
        above = self.above(F.pad(x, (0, 0, reach - x.shape[2], 0))) + self.left.bias[:, None, None]
        state.from_above = above[:, :, 0].permute(2, 0, 1).contiguous()
        for layer, memory in zip(self._layers(), state.layers, strict=True):
            layer.start_row(memory)

    def at_pixel(self, state: State, i: int, j: int) -> Tensor:
        """Returns the logits (N, K, C) of a pixel; columns come in order.

        The logits of a channel are valid once the values of the channels before it are written.
        """
        self.update_cache(state.cache, state.values, i, j)
        x = state.cache.at_pixel(j, state.from_above[j])
        for layer, memory in zip(self._layers(), state.layers, strict=True):
            x = layer.at_pixel(memory, x, j)
        return self.head.at_pixel(x)

    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]
