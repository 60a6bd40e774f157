"""MoCoGAN's networks (Tulyakov et al. 2018): frames of a content and a motion code, and a critic of clips."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from gan_lab.networks.layers import halvings, init_normal

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm3d,
    "layer": partial(nn.GroupNorm, 1),
    "none": lambda _: nn.Identity(),
}


class Generator(nn.Module):
    """Contents (N, Z) and noise (N, 1 + T, M) → frames (N, T, C, H, W) in [-1, 1] (section 3.1).

    A GRU that begins at the first row of the noise makes a motion code of each further one; each frame is made of the
    clip's content and its own motion code.

    Args:
        frame: latents (n, Z + M) → pictures (n, C, H, W), such as ``dcgan.Generator``; told the labels (n,) where the
            clips have any.
        motion: M.
    """

    def __init__(self, frame: nn.Module, motion: int) -> None:
        super().__init__()
        self.frame, self.motion = frame, nn.GRUCell(motion, motion)

    def codes(self, noise: Tensor) -> Tensor:
        """Noise (N, 1 + T, M) → motion codes (N, T, M)."""
        code, *steps = noise.unbind(1)
        found = []
        for step in steps:
            code = self.motion(step, code)
            found.append(code)
        return torch.stack(found, 1)

    def forward(self, content: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        codes = self.codes(noise)
        steps = codes.shape[1]
        latents = torch.cat([content[:, None].expand(-1, steps, -1), codes], 2)
        told = () if labels is None else (labels.repeat_interleave(steps),)
        return self.frame(latents.flatten(0, 1), *told).unflatten(0, (-1, steps))


class ClipDiscriminator(nn.Module):
    """Clips (N, T, C, H, W) → logits (N, 1, T'): convolutions 4×4×4, of stride 2 in space alone, norm, LeakyReLU.

    A clip has a logit for each stretch of time that the layers see; short clips are seen whole.

    Args:
        channels, height, width: of the frames.
        length: T, at least 1.
        base: maps after the first halving; doubled at each further one.
        norm: batch (the paper's), layer or none, of all but the first and last layer.

    Raises:
        ValueError: for another norm.
    """

    def __init__(
        self, channels: int, height: int, width: int, length: int, base: int = 64, norm: str = "batch"
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"A critic of clips has no norm {norm!r}: choose one of {', '.join(NORMS)}.")
        times = halvings(height, width)
        maps = [channels, *(base << i for i in range(times))]
        layers: list[nn.Module] = []
        for number, pair in enumerate(pairwise(maps)):
            seen = min(4, length)
            length -= seen - 1
            layers.append(nn.Conv3d(*pair, (seen, 4, 4), (1, 2, 2), (0, 1, 1), bias=not number or norm == "none"))
            layers += [NORMS[norm](pair[1])] if number else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        seen = min(4, length)
        self.layers = nn.Sequential(*layers, nn.Conv3d(maps[-1], 1, (seen, height >> times, width >> times)))
        init_normal(self)

    def forward(self, clips: Tensor) -> Tensor:
        return self.layers(clips.transpose(1, 2)).flatten(2)
