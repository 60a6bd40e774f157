"""SimVP, a convolutional network that forecasts frames (Gao et al. 2022)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.networks.forecasting import check_multiple, to_frames, to_maps
from gan_lab.networks.layers import upsampling
from gan_lab.networks.recurrent import same_conv


def conv_norm_act(conv: nn.Module, maps: int, groups: int = 2) -> nn.Sequential:
    """Returns the convolution with a group norm and a leaky ReLU after it."""
    return nn.Sequential(conv, nn.GroupNorm(math.gcd(groups, maps), maps), nn.LeakyReLU(0.2, inplace=True))


class Inception(nn.Module):
    """A 1×1 convolution, then the sum of grouped convolutions of several kernel sizes.

    Maps (N, inputs, H, W) to (N, maps, H, W).
    """

    def __init__(self, inputs: int, inner: int, maps: int, kernels: Sequence[int], groups: int) -> None:
        super().__init__()
        groups = math.gcd(groups, inner, maps)
        self.first = nn.Conv2d(inputs, inner, 1)
        convs = [same_conv(inner, maps, kernel, groups) for kernel in kernels]
        self.branches = nn.ModuleList(conv_norm_act(conv, maps, groups) for conv in convs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        first, *others = (branch(x) for branch in self.branches)
        return sum(others, first)


class Translator(nn.Module):
    """Two sequences of inception blocks, with a skip connection from each block of the first to one of the second.

    Maps (N, inputs, H, W) to (N, inputs, H, W).
    """

    def __init__(self, inputs: int, maps: int, blocks: int, kernels: Sequence[int], groups: int) -> None:
        super().__init__()
        inner, last = max(1, maps // 2), blocks - 1
        before = [(inputs if i == 0 else maps, maps) for i in range(blocks)]
        after = [(maps if i == 0 else 2 * maps, inputs if i == last else maps) for i in range(blocks)]
        self.enter, self.leave = (
            nn.ModuleList(Inception(a, inner, b, kernels, groups) for a, b in sizes) for sizes in (before, after)
        )

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.enter:
            x = block(x)
            skips.append(x)
        x = self.leave[0](skips.pop())
        for block in self.leave[1:]:  # type: ignore[union-attr]
            x = block(torch.cat([x, skips.pop()], 1))
        return x


class SimVP(nn.Module):
    """Convolutions alone (Gao et al. 2022, section 3); predicts S = steps frames.

    Takes frames (N, T, C, H, W); ``future`` (N, steps - 1, C, H, W) and ``teacher_mask`` (N, steps - 1) are ignored,
    see ``forecasting``. It has an encoder of each frame, a translator over the feature maps of all frames together, and
    a decoder of each frame, which sees the encoder's first layer too.

    As in the paper, it predicts as many frames at a time as its context has. For more steps its predictions become the
    next context. If T is smaller than the context, the first frame is repeated; if it is larger, the last frames count.

    Args:
        channels, height, width: size of the frames; the network itself accepts any sides that its strides divide.
        context_frames: number of frames of the context.
        maps: feature maps of encoder and decoder.
        layers: layers of the encoder, and of the decoder; every second one halves the sides, or doubles them.
        kernel: their kernel size, odd.
        hidden: feature maps of the translator.
        blocks: blocks of the translator, in each of its two sequences.
        kernels: kernel sizes of the convolutions in each block, odd.
        groups: groups of these convolutions.
        upsample: "transposed", the paper's, or "resize"; see ``upsampling``.

    Raises:
        ValueError: if the strides do not divide a side, and for an even kernel size or another upsampling.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        context_frames: PositiveInt,
        maps: PositiveInt = 64,
        layers: PositiveInt = 4,
        kernel: PositiveInt = 3,
        hidden: PositiveInt = 512,
        blocks: Natural = 8,
        kernels: Sequence[PositiveInt] = (3, 5, 7, 11),
        groups: PositiveInt = 8,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        strides = [1 + layer % 2 for layer in range(1, layers)]
        self.context_frames, self.stride = context_frames, math.prod(strides)
        check_multiple(self.stride, height, width)
        pad = kernel // 2
        down = [nn.Conv2d(maps, maps, kernel, stride, pad) for stride in strides]
        transposed = [nn.ConvTranspose2d(maps, maps, kernel, stride, pad, stride - 1) for stride in reversed(strides)]
        self.first = conv_norm_act(same_conv(channels, maps, kernel), maps)
        self.encoder = nn.Sequential(*(conv_norm_act(conv, maps) for conv in down))
        growing = (upsampling(upsample, conv) for conv in transposed)
        self.decoder = nn.Sequential(*(nn.Sequential(*resize, *conv_norm_act(conv, maps)) for *resize, conv in growing))
        self.last = conv_norm_act(same_conv(2 * maps, maps, kernel), maps)
        self.translator = Translator(context_frames * maps, hidden, blocks, kernels, groups)
        self.out = nn.Conv2d(maps, channels, 1)

    def forward(
        self, frames: Tensor, steps: int, future: Tensor | None = None, teacher_mask: Tensor | None = None
    ) -> Tensor:
        check_multiple(self.stride, *frames.shape[-2:])
        context = to_maps(frames)
        x = torch.cat([context[:, :1]] * (self.context_frames - context.shape[1]) + [context], 1)
        length = x.shape[1] + steps
        while x.shape[1] < length:
            x = torch.cat([x, self.predict_block(x[:, -self.context_frames :])], 1)
        return to_frames(x[:, length - steps : length])

    def predict_block(self, x: Tensor) -> Tensor:
        """Maps a context (N, T, C, H, W) in [0, 1] to as many frames after it, (N, T, C, H, W)."""
        n, skip = len(x), self.first(x.flatten(0, 1))
        encoded = self.encoder(skip)
        hidden = self.translator(encoded.unflatten(0, (n, -1)).flatten(1, 2))
        decoded = self.decoder(hidden.unflatten(1, (self.context_frames, -1)).flatten(0, 1))
        return self.out(self.last(torch.cat([decoded, skip], 1))).unflatten(0, (n, -1))
