"""Recurrent cells over feature maps: LSTMs with convolutions in place of matrix products.

A cell maps its input (N, C, H, W) and its state, tensors (N, maps, H, W), to its output (N, maps, H, W), which is the
hidden state, and its next state. Its weights do not depend on H and W. The bias of its forget gates starts larger by
1, so that it keeps its content at first (Gers et al. 2000; Jozefowicz et al. 2015).
"""

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""Hidden state and cell, (N, maps, H, W) each."""

SpatioTemporalState = tuple[Tensor, Tensor, Tensor]
"""Hidden state, cell, and the memory that goes from layer to layer, (N, maps, H, W) each."""


class ConvLSTMCell(nn.Module):
    """The convolutional LSTM (Shi et al. 2015, eq. 3): input (N, C, H, W) and state → output (N, maps, H, W), state.

    One convolution covers both input and hidden state. Peepholes are left out, as in the code of later work: they
    have a weight for each position, which would fix height and width.

    Args:
        inputs: C.
        maps: feature maps of the hidden state and of the cell.
        kernel: kernel size, odd.

    Raises:
        ValueError: for an even kernel size.
    """

    def __init__(self, inputs: int, maps: int, kernel: int) -> None:
        super().__init__()
        self.maps = maps
        self.gates = raise_forget_bias(same_conv(inputs + maps, 4 * maps, kernel), maps)

    def init_state(self, n: int, height: int, width: int) -> State:
        """Returns the state before the first step: zeros (N, maps, H, W) on the weights' device."""
        zeros = self.gates.weight.new_zeros(n, self.maps, height, width)
        return zeros, zeros

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, cell = state
        gates, out = self.gates(torch.cat([x, hidden], 1)).split((3 * self.maps, self.maps), 1)
        cell = update_cell(gates, cell)
        hidden = torch.sigmoid(out) * torch.tanh(cell)
        return hidden, (hidden, cell)


class SpatioTemporalLSTMCell(nn.Module):
    """PredRNN's spatiotemporal LSTM, ST-LSTM (Wang et al. 2017, section 3).

    Maps its input (N, C, H, W) and state to its output (N, maps, H, W) and next state. Its cell is kept over time; its
    memory comes from the layer below.

    Convolutions with summed results are merged into one, as in ``ConvLSTMCell``. The layer norm that the published
    code can add after them is left out: its runs on Moving MNIST have none.

    Args:
        inputs: C.
        maps: feature maps of the hidden state, of the cell and of the memory.
        kernel: kernel size, odd.

    Raises:
        ValueError: for an even kernel size.
    """

    def __init__(self, inputs: int, maps: int, kernel: int) -> None:
        super().__init__()
        self.maps = maps
        self.temporal = raise_forget_bias(same_conv(inputs + maps, 3 * maps, kernel), maps)
        self.spatial = raise_forget_bias(same_conv(inputs + maps, 3 * maps, kernel), maps)
        self.out = same_conv(inputs + 3 * maps, maps, kernel)
        self.fuse = nn.Conv2d(2 * maps, maps, 1)

    def init_state(self, n: int, height: int, width: int) -> SpatioTemporalState:
        """Returns the state before the first step: zeros (N, maps, H, W) on the weights' device."""
        zeros = self.fuse.weight.new_zeros(n, self.maps, height, width)
        return zeros, zeros, zeros

    def forward(self, x: Tensor, state: SpatioTemporalState) -> tuple[Tensor, SpatioTemporalState]:
        hidden, cell, memory = state
        cell = update_cell(self.temporal(torch.cat([x, hidden], 1)), cell)
        memory = update_cell(self.spatial(torch.cat([x, memory], 1)), memory)
        out = torch.sigmoid(self.out(torch.cat([x, hidden, cell, memory], 1)))
        hidden = out * torch.tanh(self.fuse(torch.cat([cell, memory], 1)))
        return hidden, (hidden, cell, memory)


def update_cell(gates: Tensor, cell: Tensor) -> Tensor:
    """Returns an LSTM's next cell, (N, maps, H, W).

    Args:
        gates: (N, 3 · maps, H, W) before their nonlinearities: input gate, forget gate and content.
        cell: (N, maps, H, W).
    """
    write, forget, content = gates.chunk(3, 1)
    return torch.sigmoid(forget) * cell + torch.sigmoid(write) * torch.tanh(content)


def same_conv(inputs: int, maps: int, kernel: int, groups: int = 1) -> nn.Conv2d:
    """Returns a convolution that keeps height and width.

    Raises:
        ValueError: for an even kernel size.
    """
    if kernel % 2 == 0:
        raise ValueError(f"kernel={kernel} is not valid: give an odd number such as {kernel + 1}.")
    return nn.Conv2d(inputs, maps, kernel, padding=kernel // 2, groups=groups)


def raise_forget_bias(conv: nn.Conv2d, maps: int) -> nn.Conv2d:
    """Adds 1 to the bias of an LSTM's forget gates, the second ``maps`` outputs, and returns the convolution."""
    with torch.no_grad():
        conv.bias[maps : 2 * maps] += 1  # type: ignore[index]
    return conv
