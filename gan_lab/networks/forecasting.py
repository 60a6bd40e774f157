"""Recurrent networks that forecast frames, ConvLSTM and PredRNN.

They have the signature of all forecasters (see also ``simvp``), ``network(frames, steps, future, teacher_mask)``:

- ``frames`` (N, T, C, H, W) in [-1, 1] are the context.
- ``future`` (N, steps - 1 or more, C, H, W) are the true frames that follow.
- ``teacher_mask``, bool (N, steps - 1), says after which of them the true frame is the next input, and not the
  network's own prediction (scheduled sampling, Bengio et al. 2015). Without these two, every input after the context
  is a prediction. Networks that are not recurrent ignore them.

The result are predictions (N, S, C, H, W), not clamped, of the last S frames of the whole sequence of T + steps. S is
``steps``, or more for a network that also predicts frames of the context.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar, TypeVarTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gan_lab.common.bounds import PositiveInt
from gan_lab.networks.recurrent import ConvLSTMCell, SpatioTemporalLSTMCell, State

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def to_maps(frames: Tensor, patch: int = 1) -> Tensor:
    """Maps frames (…, C, H, W) in [-1, 1] to (…, C · patch², H / patch, W / patch) in [0, 1].

    The pixels of a square patch become the channels of one position. Black is 0, the value of the convolutions'
    padding.

    Raises:
        ValueError: if a side is not a multiple of ``patch``.
    """
    check_multiple(patch, *frames.shape[-2:])
    return F.pixel_unshuffle((frames + 1) / 2, patch)


def to_frames(maps: Tensor, patch: int = 1) -> Tensor:
    """Maps (…, C · patch², h, w) in [0, 1] to frames (…, C, h · patch, w · patch) in [-1, 1]; inverts ``to_maps``."""
    return F.pixel_shuffle(maps, patch) * 2 - 1


def check_multiple(multiple: int, height: int, width: int) -> None:
    """Checks that both sides are multiples of ``multiple`` pixels.

    Raises:
        ValueError: if they are not.
    """
    if height % multiple or width % multiple:
        near = multiple * max(1, round(min(height, width) / multiple))
        raise ValueError(
            f"This network takes frames whose sides are multiples of {multiple} px, not {height}×{width}: "
            f"data.size={near} works."
        )


class RecurrentForecaster(nn.Module):
    """Base class of networks that take one frame at a time, and their own predictions, or true frames, after those.

    Args:
        channels, height, width: size of the frames; the network itself accepts any sides that ``patch`` divides.
        patch: side of the square patches of pixels that become the channels of one position.
        checkpointing: recompute each time step in the backward pass instead of storing its activations.

    Raises:
        ValueError: if a side is not a multiple of ``patch``.
    """

    def __init__(
        self, channels: PositiveInt, height: PositiveInt, width: PositiveInt, patch: PositiveInt, checkpointing: bool
    ) -> None:
        super().__init__()
        check_multiple(patch, height, width)
        self.patch, self.depth, self.checkpointing = patch, channels * patch**2, checkpointing

    def step(self, advance: Callable[[*Ts], T], *args: *Ts) -> T:
        """Returns the result of one time step; ``advance`` must not use random numbers, which may be recomputed."""
        if not self.checkpointing:
            return advance(*args)
        return checkpoint(advance, *args, use_reentrant=False, preserve_rng_state=False)

    def next_input(self, prediction: Tensor, future: Tensor | None, teacher_mask: Tensor | None, s: int) -> Tensor:
        """Returns the input after prediction s: for each sequence that prediction or the true frame.

        Args:
            prediction: maps (N, C', H', W').
            future: true frames (N, steps - 1 or more, C, H, W).
            teacher_mask: bool (N, steps - 1), see the module.
            s: the index of the prediction.

        Returns:
            maps (N, C', H', W').
        """
        if future is None or teacher_mask is None:
            return prediction
        return torch.where(teacher_mask[:, s, None, None, None], to_maps(future[:, s], self.patch), prediction)


def convlstm_step(cells: Sequence[ConvLSTMCell], x: Tensor, states: Sequence[State]) -> list[State]:
    """Returns the next states of a stack of ConvLSTM cells; each cell reads the hidden state of the one below.

    Args:
        cells: from the bottom up.
        x: the input of the first, (N, C, H, W).
        states: one for each cell.
    """
    after = []
    for cell, state in zip(cells, states, strict=True):
        x, state = cell(x, state)
        after.append(state)
    return after


class ConvLSTM(RecurrentForecaster):
    """An encoder and a forecaster of ConvLSTM layers (Shi et al. 2015, section 3.2); predicts S = steps frames.

    Takes frames (N, T, C, H, W), ``future`` (N, steps - 1, C, H, W) and ``teacher_mask`` (N, steps - 1), see the
    module. The encoder reads the context. The forecaster starts from its states, and a 1×1 convolution predicts each
    frame from the hidden states of all the forecaster's layers. The paper's forecaster has no input; this one reads
    the frame before the one it predicts, as later work does.

    Args:
        channels, height, width, patch, checkpointing: see ``RecurrentForecaster``.
        maps: feature maps of each layer.
        layers: layers of the encoder, and of the forecaster.
        kernel: kernel size, odd.

    Raises:
        ValueError: if a side is not a multiple of ``patch``, and for an even kernel size.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        patch: PositiveInt = 4,
        maps: PositiveInt = 128,
        layers: PositiveInt = 4,
        kernel: PositiveInt = 5,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(channels, height, width, patch, checkpointing)
        self.encoder, self.forecaster = (
            nn.ModuleList(ConvLSTMCell(maps if layer else self.depth, maps, kernel) for layer in range(layers))
            for _ in range(2)
        )
        self.out = nn.Conv2d(layers * maps, self.depth, 1)

    def forward(
        self, frames: Tensor, steps: int, future: Tensor | None = None, teacher_mask: Tensor | None = None
    ) -> Tensor:
        context = to_maps(frames, self.patch)
        encoder, forecaster = _cells(self.encoder, ConvLSTMCell), _cells(self.forecaster, ConvLSTMCell)
        states = [cell.init_state(len(context), *context.shape[3:]) for cell in encoder]
        for x in context.unbind(1):
            states = self.step(convlstm_step, encoder, x, states)
        predictions: list[Tensor] = []
        for s in range(steps):
            x = self.next_input(predictions[-1], future, teacher_mask, s - 1) if s else context[:, -1]
            states = self.step(convlstm_step, forecaster, x, states)
            predictions.append(self.out(torch.cat([hidden for hidden, _ in states], 1)))
        return to_frames(torch.stack(predictions, 1), self.patch)


class PredRNN(RecurrentForecaster):
    """Spatiotemporal LSTM layers with a memory that zigzags (Wang et al. 2017, section 3.2).

    Takes frames (N, T, C, H, W), ``future`` (N, steps - 1, C, H, W) and ``teacher_mask`` (N, steps - 1), see the
    module. The memory goes up through the layers, and from the top layer of one time step to the bottom layer of the
    next. The network predicts each frame from the second on: S = T - 1 + steps.

    Args:
        channels, height, width, patch, checkpointing: see ``RecurrentForecaster``.
        maps: feature maps of each layer.
        layers: number of layers.
        kernel: kernel size, odd.

    Raises:
        ValueError: if a side is not a multiple of ``patch``, and for an even kernel size.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        patch: PositiveInt = 4,
        maps: PositiveInt = 128,
        layers: PositiveInt = 4,
        kernel: PositiveInt = 5,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(channels, height, width, patch, checkpointing)
        self.cells = nn.ModuleList(
            SpatioTemporalLSTMCell(maps if layer else self.depth, maps, kernel) for layer in range(layers)
        )
        self.out = nn.Conv2d(maps, self.depth, 1)

    def forward(
        self, frames: Tensor, steps: int, future: Tensor | None = None, teacher_mask: Tensor | None = None
    ) -> Tensor:
        context = to_maps(frames, self.patch)
        cells = _cells(self.cells, SpatioTemporalLSTMCell)
        initial = [cell.init_state(len(context), *context.shape[3:]) for cell in cells]
        states, memory = [(hidden, cell) for hidden, cell, _ in initial], initial[0][2]
        predictions: list[Tensor] = []
        length = context.shape[1]
        for t in range(length - 1 + steps):
            x = context[:, t] if t < length else self.next_input(predictions[-1], future, teacher_mask, t - length)
            prediction, states, memory = self.step(self.zigzag, x, states, memory)
            predictions.append(prediction)
        return to_frames(torch.stack(predictions, 1), self.patch)

    def zigzag(self, x: Tensor, states: Sequence[State], memory: Tensor) -> tuple[Tensor, list[State], Tensor]:
        """Runs one time step.

        Args:
            x: maps of a frame, (N, C', H', W').
            states: hidden state and cell of each layer.
            memory: of the top layer in the time step before, (N, maps, H', W').

        Returns:
            the predicted maps (N, C', H', W') of the next frame, the next states, the next memory (N, maps, H', W').
        """
        after = []
        for layer, (hidden, cell) in zip(self.cells, states, strict=True):
            x, (hidden, cell, memory) = layer(x, (hidden, cell, memory))
            after.append((hidden, cell))
        return self.out(x), after, memory


Cell = TypeVar("Cell", bound=nn.Module)


def _cells(layers: nn.ModuleList, kind: type[Cell]) -> list[Cell]:
    return [layer for layer in layers if isinstance(layer, kind)]
