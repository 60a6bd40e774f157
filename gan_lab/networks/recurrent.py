"""Recurrent cells over maps: LSTMs whose products with weights are convolutions.

A cell takes maps (N, C, H, W) and its state, whose parts are (N, maps, H, W), to its output (N, maps, H, W), which is
the hidden state, and its next state. Its weights know nothing of H and W. The bias of its forget gates is larger by 1
at the beginning, so that it keeps what it holds (Gers et al. 2000; Jozefowicz et al. 2015).
"""

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""Hidden and cell."""

WithMemory = tuple[Tensor, Tensor, Tensor]
"""Hidden, cell, and the memory that goes from layer to layer."""


class ConvLSTMCell(nn.Module):
    """The convolutional LSTM (Shi et al. 2015, eq. 3).

    Its convolutions of input and hidden state are one over both. Its peepholes are left out, as in the code of later
    work: they have a weight for each place, which would bind the cell to one height and width.

    Args:
        inputs: C.
        maps: of the hidden state and of the cell.
        kernel: side of the convolution, odd.
    """

    def __init__(self, inputs: int, maps: int, kernel: int) -> None:
        super().__init__()
        self.maps = maps
        self.gates = keeping(same(inputs + maps, 4 * maps, kernel), maps)

    def begin(self, n: int, height: int, width: int) -> State:
        """The state before the first step: zeros, on the weights' device."""
        zeros = self.gates.weight.new_zeros(n, self.maps, height, width)
        return zeros, zeros

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, cell = state
        writing, out = self.gates(torch.cat([x, hidden], 1)).split((3 * self.maps, self.maps), 1)
        cell = written(writing, cell)
        hidden = torch.sigmoid(out) * torch.tanh(cell)
        return hidden, (hidden, cell)


class SpatioTemporalLSTMCell(nn.Module):
    """PredRNN's spatiotemporal LSTM, ST-LSTM (Wang et al. 2017, section 3): its cell is kept over time, and its memory
    comes from the layer below.

    Convolutions whose results are added are one, as in ``ConvLSTMCell``. The layer norm that the published code can put
    after them is left out: its runs on Moving MNIST have none.

    Args:
        inputs: C.
        maps: of the hidden state, of the cell and of the memory.
        kernel: side of the convolutions, odd.
    """

    def __init__(self, inputs: int, maps: int, kernel: int) -> None:
        super().__init__()
        self.maps = maps
        self.temporal = keeping(same(inputs + maps, 3 * maps, kernel), maps)
        self.spatial = keeping(same(inputs + maps, 3 * maps, kernel), maps)
        self.out = same(inputs + 3 * maps, maps, kernel)
        self.fuse = nn.Conv2d(2 * maps, maps, 1)

    def begin(self, n: int, height: int, width: int) -> WithMemory:
        """The state before the first step: zeros, on the weights' device."""
        zeros = self.fuse.weight.new_zeros(n, self.maps, height, width)
        return zeros, zeros, zeros

    def forward(self, x: Tensor, state: WithMemory) -> tuple[Tensor, WithMemory]:
        hidden, cell, memory = state
        cell = written(self.temporal(torch.cat([x, hidden], 1)), cell)
        memory = written(self.spatial(torch.cat([x, memory], 1)), memory)
        out = torch.sigmoid(self.out(torch.cat([x, hidden, cell, memory], 1)))
        hidden = out * torch.tanh(self.fuse(torch.cat([cell, memory], 1)))
        return hidden, (hidden, cell, memory)


def written(gates: Tensor, cell: Tensor) -> Tensor:
    """Gates (N, 3 · maps, H, W) before their nonlinearities, which are input, forget and content, and the cell → the
    next cell.
    """
    write, forget, content = gates.chunk(3, 1)
    return torch.sigmoid(forget) * cell + torch.sigmoid(write) * torch.tanh(content)


def same(inputs: int, maps: int, kernel: int, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width.

    Raises:
        ValueError: for an even kernel.
    """
    if kernel % 2 == 0:
        raise ValueError(f"kernel={kernel} does not serve: give an odd side such as {kernel + 1}.")
    return nn.Conv2d(inputs, maps, kernel, padding=kernel // 2, groups=groups)


def keeping(conv: nn.Conv2d, maps: int) -> nn.Conv2d:
    """With 1 added to the bias of its forget gates, the second ``maps`` maps."""
    with torch.no_grad():
        conv.bias[maps : 2 * maps] += 1  # type: ignore[index]
    return conv
