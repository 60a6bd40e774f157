"""The words every part of the program shares: batches, terms, phases, the image range and what a model can do.

Shapes are written with N batch, C channels, H height, W width, Z latent, K classes, T frames.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
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
    """

    name: str
    terms: Callable[[Batch, Drawn, Noise], Terms]
    every: int = 1


@runtime_checkable
class Samples(Protocol):
    """Makes pictures from nothing. Sample number i of a seed depends on (seed, i) alone."""

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Samples start … start + n - 1 of the seed, float32 (n, C, H, W) in [-1, 1].

        ``label`` is a class for all or an int64 (n,); ``truncation`` in (0, 1] shrinks the latents towards their mean.
        """


@runtime_checkable
class Decodes(Protocol):
    """Has a latent space that can be walked through."""

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0) -> Tensor:
        """Latents (n, Z) of samples start … start + n - 1 of the seed."""

    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Latents (n, Z) → images (n, C, H, W) in [-1, 1]."""


@runtime_checkable
class Encodes(Protocol):
    """Finds the latents of given pictures."""

    def encode(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] → latents (N, Z)."""


@runtime_checkable
class Translates(Protocol):
    """Carries pictures from one domain to another."""

    def translate(self, image: Tensor, to: str) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] → the same pictures in domain ``to`` ("a" or "b")."""


@runtime_checkable
class Predicts(Protocol):
    """Continues a sequence of pictures."""

    def predict(self, frames: Tensor, steps: int) -> Tensor:
        """Frames (N, T, C, H, W) → the next ``steps`` frames (N, steps, C, H, W)."""


@runtime_checkable
class Restores(Protocol):
    """Fills what a mask leaves out."""

    def restore(self, image: Tensor, mask: Tensor) -> Tensor:
        """Images (N, C, H, W), mask (N, 1, H, W) with 1 where the picture is known → the whole picture."""


@runtime_checkable
class RealImages(Protocol):
    """The side of a data module that metrics and callbacks see: pictures as they are, without random transforms."""

    channels: int
    height: int
    width: int
    classes: int

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Batches (n, C, H, W) uint8 of the split ("train" or "test") in a fixed order, ``limit`` pictures at most."""

    def count(self, split: str) -> int:
        """The number of pictures in the split."""

    def fingerprint(self, split: str) -> str:
        """A hash of the split's pixels after its fixed transforms: equal if and only if ``images`` yields the same."""

    def describe(self) -> dict[str, Any]:
        """What the data are, for a protocol: name, counts of the splits, size, transform."""
