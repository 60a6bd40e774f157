"""The gated PixelCNN (van den Oord et al. 2016b, "Conditional Image Generation with PixelCNN Decoders")."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt, Probability
from gan_lab.networks.layers import Dropout
from gan_lab.networks.masked_conv import AutoregressiveNetwork, Head, RowCache, RowConv, channel_groups, check_odd


def channels_last(x: Tensor) -> Tensor:
    """Returns the maps (N, C, H, W) in the memory layout that is fastest for convolutions of few maps on a CPU."""
    return x.contiguous(memory_format=torch.channels_last)


def gate(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Maps (N, 2 · maps, …), plus a bias (N, 2 · maps, 1, 1), to (N, maps, …) by the gated activation, eq. 2."""
    signal, opening = (x if bias is None else x + bias).chunk(2, 1)
    return torch.tanh(signal) * torch.sigmoid(opening)


@dataclass
class Memory:
    """Intermediate results of a layer while values are generated.

    Attributes:
        cache: input of the horizontal convolution in the current row.
        biases: see ``Layer.biases``.
        above: the rows above the current one that the vertical kernel covers, (N, F, rows - 1, W).
        from_vertical: the vertical stack's contribution to the horizontal one in the current row, (W, N, 2 · maps).
    """

    cache: RowCache
    biases: tuple[Tensor | None, Tensor | None]
    above: Tensor
    from_vertical: Tensor


class Layer(nn.Module):
    """One layer of the vertical and the horizontal stack (figure 2).

    Maps the vertical stack's v (N, F, H, W), the horizontal stack's h (N, F, H, W) and, if conditional, labels (N,) to
    the next v and h, (N, maps, H, W) each. Row i of v depends on the rows above i only.

    The horizontal stack gets the vertical one's maps after their gate, in the paper before it. This has half the
    weights and was no worse when both were tried.

    Args:
        before: the group of each input map, (F,).
        after: the group of each output map of the horizontal stack, (maps,).
        size: (rows, columns) of the vertical kernel, the last row of which is the current one.
        classes, dropout: see ``PixelCNN``.
        first: the horizontal stack does not see the value itself and has no skip connection.
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
        with torch.no_grad():  # gates halve the signal, so that with torch's own weights little passes the whole stack
            for conv, gain in ((self.vertical, 3), (self.across, 2), (self.horizontal, 2)):
                conv.weight.mul_(gain)

    def biases(self, labels: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Returns the biases of the vertical and the horizontal gates for labels (N,) (section 2.3).

        They are (N, 2 · maps, 1, 1) each, or None without classes.
        """
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

    def init_memory(self, n: int, width: int, labels: Tensor | None) -> Memory:
        """Returns the memory before the first row, for N images of width W with labels (N,) if conditional."""
        conv = self.vertical
        above = conv.weight.new_zeros(n, conv.in_channels, conv.kernel_size[0] - 1, width)
        return Memory(self.horizontal.cache(n, width), self.biases(labels), above, above.new_empty(0))

    def start_row(self, memory: Memory, v: Tensor) -> Tensor:
        """Maps the vertical stack's row (N, F, 1, W) to the next layer's, (N, maps, 1, W)."""
        vertical, horizontal = memory.biases
        rows = torch.cat([memory.above, v], 2)
        memory.above = rows[:, :, 1:]
        v = gate(self.vertical(rows), vertical)
        across = self.across(v) + self.horizontal.bias[:, None, None]
        across = across if horizontal is None else across + horizontal
        memory.from_vertical = across[:, :, 0].permute(2, 0, 1).contiguous()
        return v

    def at_pixel(self, memory: Memory, h: Tensor, j: int) -> Tensor:
        """Maps the horizontal stack's column j (N, F) to the next layer's, (N, maps)."""
        memory.cache.write(j, h)
        y = self.out.at_pixel(gate(memory.cache.at_pixel(j, memory.from_vertical[j])))
        return y if self.first else h + y


@dataclass
class State:
    """Intermediate results of the network while values are generated.

    Attributes:
        values: (N, C, H, W), the tensor that the caller writes generated values to.
        layers: each layer's memory.
    """

    values: Tensor
    layers: list[Memory]


class PixelCNN(AutoregressiveNetwork):
    """Maps values (N, C, H, W) and, if conditional, labels (N,) to logits (N, K, C, H, W).

    A vertical stack sees the rows above. A horizontal stack sees the pixels to the left of a value and the vertical
    stack, so that there is no blind spot. With several channels the horizontal stack's maps are divided into C groups
    (2016a, section 3.3).

    Args:
        channels, height, width: size of the images; the network itself accepts any height and width.
        levels: K.
        maps: feature maps of each stack.
        layers: number of layers, the first included.
        kernel: kernel size before masking, odd.
        first: kernel size of the first layer, odd.
        head: feature maps between the last layer and the logits.
        classes: number of labels; if not 0, gates have a bias for each label.
        embed: see ``AutoregressiveNetwork``.
        dropout: dropout probability of the gates' outputs in the horizontal stack.

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
        maps: PositiveInt = 64,
        layers: PositiveInt = 10,
        kernel: PositiveInt = 3,
        first: PositiveInt = 7,
        head: PositiveInt = 64,
        classes: Natural = 0,
        embed: Natural = 0,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__(levels, embed)
        check_odd(kernel=kernel, first=first)
        before, after = channel_groups(channels * max(embed, 1), channels), channel_groups(maps, channels)
        self.layers = nn.ModuleList([Layer(before, after, (first // 2, first), classes, dropout, first=True)])
        for _ in range(layers - 1):
            self.layers.append(Layer(after, after, (kernel // 2 + 1, kernel), classes, dropout))
        self.head = Head(after, head, channels, levels)

    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        v, h = F.pad(x, (0, 0, 1, -1)), x
        for layer in self.layers:
            v, h = layer(channels_last(v), channels_last(h), labels)
        return self.head(h)

    def init_state(self, values: Tensor, labels: Tensor | None = None) -> State:
        """Returns the state before the first row.

        Args:
            values: (N, C, H, W), the tensor that the caller writes generated values to.
            labels: (N,), if conditional.
        """
        memories = [layer.init_memory(len(values), values.shape[3], labels) for layer in self._layers()]
        return State(values, memories)

    def start_row(self, state: State, i: int) -> None:
        """Prepares row i; rows come in order, each after the values of all rows above it are written."""
        above = max(i - 1, 0)
        v = self.embed(state.values[:, :, above : above + 1]) * (i > 0)
        for layer, memory in zip(self._layers(), state.layers, strict=True):
            v = layer.start_row(memory, v)

    def at_pixel(self, state: State, i: int, j: int) -> Tensor:
        """Returns the logits (N, K, C) of a pixel; columns come in order.

        The logits of a channel are valid once the values of the channels before it are written.
        """
        h = self.update_cache(state.layers[0].cache, state.values, i, j)
        for layer, memory in zip(self._layers(), state.layers, strict=True):
            h = layer.at_pixel(memory, h, j)
        return self.head.at_pixel(h)

    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]
