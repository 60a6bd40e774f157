"""MoCoGAN (Tulyakov et al. 2018): generates frames from a content code and motion codes; a discriminator of clips."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt
from gan_lab.networks.layers import init_normal, num_downsamplings

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm3d,
    "layer": partial(nn.GroupNorm, 1),
    "none": lambda _: nn.Identity(),
}


class Generator(nn.Module):
    """Maps contents (N, Z), noise (N, 1 + T, M) and, if conditional, labels (N,) to frames (N, T, C, H, W) in [-1, 1].

    Section 3.1 of the paper: a GRU, whose initial state is the first row of the noise, turns each further row into a
    motion code. Each frame is generated from the clip's content and its own motion code.

    Args:
        frame: maps latents (n, Z + M), and labels (n,) if conditional, to images (n, C, H, W), as ``dcgan.Generator``.
        motion: M.
    """

    def __init__(self, frame: nn.Module, motion: PositiveInt) -> None:
        super().__init__()
        self.frame, self.motion = frame, nn.GRUCell(motion, motion)

    def codes(self, noise: Tensor) -> Tensor:
        """Maps noise (N, 1 + T, M) to motion codes (N, T, M)."""
        code, *steps = noise.unbind(1)
        codes = []
        for step in steps:
            code = self.motion(step, code)
            codes.append(code)
        return torch.stack(codes, 1)

    def forward(self, content: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        codes = self.codes(noise)
        steps = codes.shape[1]
        latents = torch.cat([content[:, None].expand(-1, steps, -1), codes], 2)
        condition = () if labels is None else (labels.repeat_interleave(steps),)
        return self.frame(latents.flatten(0, 1), *condition).unflatten(0, (-1, steps))


class ClipDiscriminator(nn.Module):
    """Maps clips (N, T, C, H, W) to logits (N, 1, T'): 4×4×4 convolutions, strided in space only, norm, LeakyReLU.

    There is a logit for each temporal window that the layers see; short clips are seen as a whole.

    Args:
        channels, height, width: size of the frames.
        length: T, at least 1.
        base: feature maps after the first halving, doubled at each further one.
        norm: batch (the paper's), layer or none, in all but the first and last layer.

    Raises:
        ValueError: for another norm.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        length: PositiveInt,
        base: PositiveInt = 64,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"norm={norm} is not valid for a clip discriminator: choose one of {', '.join(NORMS)}.")
        times = num_downsamplings(height, width)
        maps = [channels, *(base << i for i in range(times))]
        layers: list[nn.Module] = []
        for number, pair in enumerate(pairwise(maps)):
            window = min(4, length)
            length -= window - 1
            layers.append(nn.Conv3d(*pair, (window, 4, 4), (1, 2, 2), (0, 1, 1), bias=not number or norm == "none"))
            layers += [NORMS[norm](pair[1])] if number else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        window = min(4, length)
        self.layers = nn.Sequential(*layers, nn.Conv3d(maps[-1], 1, (window, height >> times, width >> times)))
        init_normal(self)

    def forward(self, clips: Tensor) -> Tensor:
        return self.layers(clips.transpose(1, 2)).flatten(2)
