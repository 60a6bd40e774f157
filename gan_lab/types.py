"""The words every part of the program shares: batches, terms, phases, the image range.

Shapes are written with N batch, C channels, H height, W width, Z latent, K classes, T frames.
"""

import colorsys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Batch = dict[str, Tensor]
"""``image`` (N, C, H, W), ``label`` (N,); ``a``, ``b`` (unpaired); ``source``, ``target`` (paired);
``frames`` (N, T, C, H, W); ``mask``; ``attributes``. Images are float32 in [-1, 1] once on the device."""

Drawn = Mapping[str, Tensor]
"""What several phases of one iteration share, such as ``fake``: computed once (see ``AlternatingModule.draw``)."""


def to_float(images: Tensor) -> Tensor:
    """uint8 [0, 255] → float32 [-1, 1], any shape."""
    return images.float().mul_(2 / 255).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Float [-1, 1] → uint8 [0, 255], any shape: clamped and rounded to the nearest level, never truncated."""
    return images.float().add(1).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


class UserError(Exception):
    """A mistake the user can mend. Its text is one sentence: what is wrong, and what would work.

    Entry points print the text alone and end with exit status 2; in Python it is an ordinary exception.
    """


@dataclass(frozen=True)
class Terms:
    """What one phase computes.

    Args:
        losses: named scalar losses; their sum is minimised and each is logged as ``train/<phase>/<name>``.
        logs: named scalars that are only logged (D(x), perplexity, an unweighted KL).
    """

    losses: Mapping[str, Tensor]
    logs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        return torch.stack([loss.float() for loss in self.losses.values()]).sum()


class Noise(Protocol):
    """The random numbers of one turn: drawn for the global batch, sliced to the rows this process works on.

    The same numbers whatever the number of ranks or micro-batches, and never the same row twice.
    """

    def on_host(self) -> "Noise":
        """The same stream, its numbers left on the CPU: for choices that Python makes, without waiting for a device."""

    def normal(self, n: int, *shape: int) -> Tensor:
        """Standard normal numbers (n, *shape) for the n local rows."""

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Numbers (n, *shape) uniform in [0, 1) for the n local rows."""

    def integers(self, n: int, high: int) -> Tensor:
        """Whole numbers (n,) uniform in [0, high) for the n local rows, int64."""


@dataclass(frozen=True)
class Phase:
    """One player's turn.

    Args:
        name: the player; ``AlternatingModule.trainable(name)`` gives the parameters that step.
        terms: ``(batch, drawn, noise) -> Terms``. May draw random numbers from ``noise``; never steps, logs, or changes
            another phase's parameters.
        every: the turn is taken in every so manieth iteration (the generator's ``every=5`` is a paper's n_critic = 5).
        fresh: whether it gets a batch of its own, and what ``draw`` makes of that.
        begin, end: the share of the budget from which on, and until which, turns are taken.
    """

    name: str
    terms: Callable[[Batch, Drawn, Noise], Terms]
    every: int = 1
    fresh: bool = False
    begin: float = 0.0
    end: float = 1.0

    def due(self, iteration: int, progress: float) -> bool:
        """Whether the turn is taken in that iteration (from 0 on), at that share of the budget."""
        return (iteration + 1) % self.every == 0 and self.begin <= progress < self.end


@dataclass(frozen=True)
class Domain:
    """One side of a translation.

    Args:
        channels: 1 or 3, of pictures.
        labels: K where they are maps of class ids, stored as uint8 (N, 1, H, W) with ids from K up meaning "none";
            networks see them one-hot. 0 for pictures.
    """

    channels: int = 3
    labels: int = 0

    @property
    def stored(self) -> int:
        """Channels of the stored uint8 pixels."""
        return 1 if self.labels else self.channels

    @property
    def depth(self) -> int:
        """Channels that a network sees."""
        return self.labels or self.channels

    def encode(self, pixels: Tensor) -> Tensor:
        """uint8 (N, C, H, W) → float32 in [-1, 1], or ids (N, 1, H, W) → float32 (N, K, H, W) of 0 and 1."""
        if not self.labels:
            return to_float(pixels)
        ids = pixels[:, 0].long()
        known = ids < self.labels
        one_hot = F.one_hot(ids.where(known, 0), self.labels) * known[..., None]
        return one_hot.permute(0, 3, 1, 2).float()

    def decode(self, images: Tensor) -> Tensor:
        """What a network sees or makes → uint8 pixels as they are stored; of a map the most likely class."""
        return images.argmax(1, keepdim=True).to(torch.uint8) if self.labels else to_uint8(images)

    def visible(self, images: Tensor) -> Tensor:
        """What a network sees or makes → pictures (N, C, H, W) in [-1, 1] for the eye, a map in a colour a class."""
        if not self.labels:
            return images
        return to_float(palette(self.labels).to(images.device)[images.argmax(1)].permute(0, 3, 1, 2))


def palette(labels: int) -> Tensor:
    """A colour for each class, uint8 (K, 3): hues a golden angle apart, at three lightnesses in turn."""
    hues = [(0.618034 * k % 1, (0.45, 0.65, 0.3)[k % 3]) for k in range(labels)]
    colours = [colorsys.hls_to_rgb(hue, lightness, 0.7) for hue, lightness in hues]
    return (torch.tensor(colours) * 255).round().to(torch.uint8)
