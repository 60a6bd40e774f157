"""Networks that continue sequences of frames: ConvLSTM, PredRNN and SimVP.

All are called alike: ``network(frames, steps, truth, fed)`` takes frames (N, T, C, H, W) in [-1, 1] and gives its
predictions (N, S, C, H, W), unclamped, of the last S frames of the whole sequence of T + steps. S is steps, or more of
a network that predicts within what it is given. ``truth`` (N, steps - 1 or more, C, H, W) are the frames that follow,
and ``fed``, bool (N, steps - 1), says after which of them the true one is fed rather than what the network predicted
(scheduled sampling, Bengio et al. 2015). Without these, and always where the network ignores them, that is its own.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gan_lab.networks.recurrent import ConvLSTMCell, SpatioTemporalLSTMCell, State, same


def to_maps(frames: Tensor, patch: int = 1) -> Tensor:
    """Frames (…, C, H, W) in [-1, 1] → maps (…, C · patch², H / patch, W / patch) in [0, 1].

    Squares of pixels become the channels of one place, and black is 0, which is what convolutions are padded with.

    Raises:
        ValueError: for sides that ``patch`` does not divide.
    """
    divide(patch, *frames.shape[-2:])
    return F.pixel_unshuffle((frames + 1) / 2, patch)


def to_frames(maps: Tensor, patch: int = 1) -> Tensor:
    """The way back."""
    return F.pixel_shuffle(maps, patch) * 2 - 1


def divide(by: int, height: int, width: int) -> None:
    """Checks that both sides are multiples of so many pixels.

    Raises:
        ValueError: if they are not.
    """
    if height % by or width % by:
        near = by * max(1, round(min(height, width) / by))
        raise ValueError(
            f"This network takes frames whose sides are multiples of {by} px, not {height}×{width}: "
            f"data.size={near} works."
        )


class Recurrent(nn.Module):
    """Takes frames in turn, as maps, and is fed what it predicts, or the true ones, from where they end.

    Args:
        channels, height, width: of the frames; the network itself takes any that ``patch`` divides.
        patch: side of the squares of pixels that become the channels of one place.
        checkpointing: what each time step computes is not kept for the backward pass but computed again in it.
    """

    def __init__(self, channels: int, height: int, width: int, patch: int, checkpointing: bool) -> None:
        super().__init__()
        divide(patch, height, width)
        self.patch, self.depth, self.checkpointing = patch, channels * patch**2, checkpointing

    def step(self, advance: Callable[..., Any], *state: Any) -> Any:
        """What ``advance`` makes of the state in one time step, in which nothing may be drawn by chance."""
        if not self.checkpointing:
            return advance(*state)
        return checkpoint(advance, *state, use_reentrant=False, preserve_rng_state=False)

    def fed_back(self, made: Tensor, truth: Tensor | None, fed: Tensor | None, s: int) -> Tensor:
        """What is fed after prediction s, as maps: of each sequence that, or the truth."""
        if truth is None or fed is None:
            return made
        return torch.where(fed[:, s, None, None, None], to_maps(truth[:, s], self.patch), made)


def stack(cell: Callable[[int, int, int], nn.Module], inputs: int, maps: int, layers: int, kernel: int) -> Any:
    return nn.ModuleList(cell(maps if layer else inputs, maps, kernel) for layer in range(layers))


def climb(cells: Any, x: Tensor, states: Sequence[State]) -> list[State]:
    """The next states of a stack of ConvLSTM cells, each of which reads the hidden state of the one below."""
    after = []
    for cell, state in zip(cells, states, strict=True):
        x, state = cell(x, state)
        after.append(state)
    return after


class ConvLSTM(Recurrent):
    """An encoder and a forecaster of ConvLSTM layers (Shi et al. 2015, section 3.2).

    The encoder reads the frames given, the forecaster begins with its states, and a 1×1 convolution makes each frame
    of the hidden states of all the forecaster's layers. The paper's forecaster reads nothing; this one reads the frame
    before the one it predicts, as later work's do.

    Args:
        channels, height, width, patch, checkpointing: see ``Recurrent``.
        maps: of each layer.
        layers: of the encoder, and of the forecaster.
        kernel: side of the convolutions, odd.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        patch: int = 4,
        maps: int = 128,
        layers: int = 4,
        kernel: int = 5,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(channels, height, width, patch, checkpointing)
        self.encoder, self.forecaster = (stack(ConvLSTMCell, self.depth, maps, layers, kernel) for _ in range(2))
        self.out = nn.Conv2d(layers * maps, self.depth, 1)

    def forward(self, frames: Tensor, steps: int, truth: Tensor | None = None, fed: Tensor | None = None) -> Tensor:
        """S = steps; see the module."""
        given = to_maps(frames, self.patch)
        states = [cell.begin(len(given), *given.shape[3:]) for cell in self.encoder]
        for x in given.unbind(1):
            states = self.step(climb, self.encoder, x, states)
        made: list[Tensor] = []
        for s in range(steps):
            x = self.fed_back(made[-1], truth, fed, s - 1) if s else given[:, -1]
            states = self.step(climb, self.forecaster, x, states)
            made.append(self.out(torch.cat([hidden for hidden, _ in states], 1)))
        return to_frames(torch.stack(made, 1), self.patch)


class PredRNN(Recurrent):
    """Spatiotemporal LSTM layers whose memory zigzags: up through them, and from the top of one time step to the bottom
    of the next (Wang et al. 2017, section 3.2). It predicts each frame from the second on.

    Args:
        channels, height, width, patch, checkpointing: see ``Recurrent``.
        maps: of each layer.
        layers: of the one stack.
        kernel: side of the convolutions, odd.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        patch: int = 4,
        maps: int = 128,
        layers: int = 4,
        kernel: int = 5,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(channels, height, width, patch, checkpointing)
        self.cells = stack(SpatioTemporalLSTMCell, self.depth, maps, layers, kernel)
        self.out = nn.Conv2d(maps, self.depth, 1)

    def forward(self, frames: Tensor, steps: int, truth: Tensor | None = None, fed: Tensor | None = None) -> Tensor:
        """S = T - 1 + steps; see the module."""
        given = to_maps(frames, self.patch)
        begin = [cell.begin(len(given), *given.shape[3:]) for cell in self.cells]
        states, memory = [(hidden, cell) for hidden, cell, _ in begin], begin[0][2]
        made: list[Tensor] = []
        before = given.shape[1]
        for t in range(before - 1 + steps):
            x = given[:, t] if t < before else self.fed_back(made[-1], truth, fed, t - before)
            picture, states, memory = self.step(self.zigzag, x, states, memory)
            made.append(picture)
        return to_frames(torch.stack(made, 1), self.patch)

    def zigzag(self, x: Tensor, states: Sequence[State], memory: Tensor) -> tuple[Tensor, list[State], Tensor]:
        """One time step: a frame's maps → the next one's, and what it leaves behind."""
        after = []
        for layer, (hidden, cell) in zip(self.cells, states, strict=True):
            x, (hidden, cell, memory) = layer(x, (hidden, cell, memory))
            after.append((hidden, cell))
        return self.out(x), after, memory


def activated(conv: nn.Module, maps: int, groups: int = 2) -> nn.Sequential:
    """The convolution, group norm and a leaky ReLU."""
    return nn.Sequential(conv, nn.GroupNorm(math.gcd(groups, maps), maps), nn.LeakyReLU(0.2, inplace=True))


class Inception(nn.Module):
    """A 1×1 convolution, and the sum of grouped ones of several sides over it."""

    def __init__(self, inputs: int, inner: int, maps: int, kernels: Sequence[int], groups: int) -> None:
        super().__init__()
        groups = math.gcd(groups, inner, maps)
        self.first = nn.Conv2d(inputs, inner, 1)
        convs = [same(inner, maps, kernel, groups) for kernel in kernels]
        self.branches = nn.ModuleList(activated(conv, maps, groups) for conv in convs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        first, *others = (branch(x) for branch in self.branches)
        return sum(others, first)


class Translator(nn.Module):
    """Inception blocks, as many in as out, with a skip from each to its counterpart."""

    def __init__(self, inputs: int, maps: int, blocks: int, kernels: Sequence[int], groups: int) -> None:
        super().__init__()
        inner, last = max(1, maps // 2), blocks - 1
        before = [(inputs if i == 0 else maps, maps) for i in range(blocks)]
        after = [(maps if i == 0 else 2 * maps, inputs if i == last else maps) for i in range(blocks)]
        self.enter, self.leave = (
            nn.ModuleList(Inception(a, inner, b, kernels, groups) for a, b in sizes) for sizes in (before, after)
        )

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for block in self.enter:
            x = block(x)
            kept.append(x)
        x = self.leave[0](kept.pop())
        for block in self.leave[1:]:  # type: ignore[union-attr]
            x = block(torch.cat([x, kept.pop()], 1))
        return x


class SimVP(nn.Module):
    """Convolutions alone (Gao et al. 2022, section 3): an encoder of each frame, a translator over the maps of all of
    them at once, and a decoder of each, which sees the encoder's first layer too.

    As the paper's, it makes as many frames at a time as it is built to be given. For more, it is given its predictions;
    where too few are given, the first is repeated, and of too many it sees the last. It is never fed the truth.

    Args:
        channels, height, width: of the frames; the network itself takes any that its strides divide.
        given: frames.
        maps: of encoder and decoder.
        layers: of the encoder, and of the decoder; every second one halves the sides, or doubles them.
        kernel: side of their convolutions, odd.
        hidden: maps of the translator.
        blocks: of the translator, on each of its two sides.
        kernels: sides of the convolutions in each block, odd.
        groups: of these convolutions.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        given: int,
        maps: int = 64,
        layers: int = 4,
        kernel: int = 3,
        hidden: int = 512,
        blocks: int = 8,
        kernels: Sequence[int] = (3, 5, 7, 11),
        groups: int = 8,
    ) -> None:
        super().__init__()
        strides = [1 + layer % 2 for layer in range(1, layers)]
        self.given, self.stride = given, math.prod(strides)
        divide(self.stride, height, width)
        pad = kernel // 2
        down = [nn.Conv2d(maps, maps, kernel, stride, pad) for stride in strides]
        up = [nn.ConvTranspose2d(maps, maps, kernel, stride, pad, stride - 1) for stride in reversed(strides)]
        self.first = activated(same(channels, maps, kernel), maps)
        self.encoder, self.decoder = (nn.Sequential(*(activated(conv, maps) for conv in convs)) for convs in (down, up))
        self.last = activated(same(2 * maps, maps, kernel), maps)
        self.translator = Translator(given * maps, hidden, blocks, kernels, groups)
        self.out = nn.Conv2d(maps, channels, 1)

    def forward(self, frames: Tensor, steps: int, truth: Tensor | None = None, fed: Tensor | None = None) -> Tensor:
        """S = steps; see the module."""
        divide(self.stride, *frames.shape[-2:])
        known = to_maps(frames)
        x = torch.cat([known[:, :1]] * (self.given - known.shape[1]) + [known], 1)
        whole = x.shape[1] + steps
        while x.shape[1] < whole:
            x = torch.cat([x, self.block(x[:, -self.given :])], 1)
        return to_frames(x[:, whole - steps : whole])

    def block(self, x: Tensor) -> Tensor:
        """The maps of as many frames as are given → those of the ones after them."""
        n, skip = len(x), self.first(x.flatten(0, 1))
        encoded = self.encoder(skip)
        hidden = self.translator(encoded.unflatten(0, (n, -1)).flatten(1, 2))
        decoded = self.decoder(hidden.unflatten(1, (self.given, -1)).flatten(0, 1))
        return self.out(self.last(torch.cat([decoded, skip], 1))).unflatten(0, (n, -1))
