"""What a model can do, and what data show of themselves: what metrics, callbacks and entry points go by.

Shapes are written as in ``gan_lab.common.types``.
"""

from __future__ import annotations  # commands name capabilities before they need torch

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan_lab.common.domains import Domain


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

    def latents(
        self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: int | Tensor | None = None
    ) -> Tensor:
        """Latents (n, Z) of samples start … start + n - 1 of the seed; in some spaces they have the label in them."""

    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Latents (n, Z) → images (n, C, H, W) in [-1, 1]."""


@runtime_checkable
class Traverses(Decodes, Protocol):
    """Has latents that can move one at a time."""

    def latent_range(self) -> Tensor:
        """From minus to plus so much each may go without leaving what the model knows, (Z,); 0 holds it still."""


@runtime_checkable
class Encodes(Protocol):
    """Finds the latents of given pictures."""

    def encode(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], of conditional models with their classes → latents (N, Z)."""


@runtime_checkable
class Translates(Protocol):
    """Carries pictures from one domain to the other. Domains are "a" and "b"; a paired set's source is "a"."""

    domains: Mapping[str, Domain]
    directions: Sequence[str]
    """Those it knows, of "a2b" and "b2a"."""

    multiple: int
    """Sides of the pictures must be multiples of it."""

    def translator(self, to: str) -> nn.Module:
        """The network that makes pictures (N, C, H, W) of domain ``to`` from those of the other one."""

    def translate(self, image: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
        """Pictures as a network sees them, (N, C, H, W) → the same in domain ``to``, float32.

        Where chance takes part (dropout), picture i is number ``start`` + i of the seed, and depends on nothing else.
        """


@runtime_checkable
class Discriminates(Protocol):
    """Has critics who tell real pictures of a domain from made ones."""

    discriminated: Sequence[str]
    """The domains that have a critic, of "a" and "b"."""

    decision_threshold: float | None
    """Logits above it mean real; None where the objective draws no such line."""

    def logits(self, image: Tensor, of: str, source: Tensor) -> Tensor:
        """Pictures (N, C, H, W) as a network sees them → logits (N, …) of the critic of domain ``of``, float32.

        ``source`` (N, C', H, W) is what they were made from, or belong to; a critic may look at it too.
        """


@runtime_checkable
class Predicts(Protocol):
    """Continues a sequence of pictures."""

    context_frames: int
    """Frames that it was trained to be given; it takes any number from 1 up."""

    def predict(self, frames: Tensor, steps: int) -> Tensor:
        """Frames (N, T, C, H, W) in [-1, 1] → the next ``steps`` frames (N, steps, C, H, W), float32 in [-1, 1]."""


@runtime_checkable
class SamplesClips(Protocol):
    """Makes sequences of pictures from nothing."""

    def sample_clips(
        self,
        n: int,
        steps: int,
        seed: int = 0,
        start: int = 0,
        motion: int | None = None,
        label: int | Tensor | None = None,
    ) -> Tensor:
        """Sequences start … start + n - 1 of the seed, float32 (n, steps, C, H, W) in [-1, 1].

        All move as sequence number ``motion`` of the seed does; with None each moves as its own. ``label`` is a class
        for all or an int64 (n,). Sequence i is a function of (seed, i, motion, label) alone, and its first frames do
        not hang on how many there are.
        """


@runtime_checkable
class DrawsStepwise(Protocol):
    """Makes pictures step by step."""

    def canvases(self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None) -> Tensor:
        """Samples start … start + n - 1 of the seed after each step, float32 (n, T, C, H, W) in [-1, 1]."""


@runtime_checkable
class Restores(Protocol):
    """Fills what a mask leaves out."""

    def restore(
        self, image: Tensor, mask: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> Tensor:
        """Images (N, C, H, W), mask (N, 1, H, W) with 1 where the picture is known → the whole picture, float32.

        What is known stays as it is. Where chance takes part, picture i is number ``start`` + i of the seed.
        """


@runtime_checkable
class Reconstructs(Protocol):
    """Makes a picture again from what it is encoded as."""

    def reconstruct(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] → the same from their latents, float32, without chance.

        ``label`` is a class for all or an int64 (N,), of models that are told it.
        """


@runtime_checkable
class HasLikelihood(Protocol):
    """Says how likely a picture is."""

    exact: bool
    """Whether it is the likelihood itself; otherwise a lower bound."""

    levels: int
    """Values that a pixel's channel can have: 256, or 2 of two-coloured pictures."""

    def log_likelihood(
        self, image: Tensor, label: int | Tensor | None = None, k: int = 1, seed: int = 0, start: int = 0
    ) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] → the logarithm of the probability of each, float32 (N,), in nats.

        Of a bound: by k importance-weighted samples (Burda et al. 2016, eq. 8; k = 1 is the ELBO), those of picture i
        a function of (seed, ``start`` + i) alone.
        """


@runtime_checkable
class HasPosterior(Protocol):
    """Encodes a picture as a distribution over latents."""

    def infer(
        self, image: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) → means of the posterior (N, Z), and the KL divergence of each latent from its prior in
        nats, (N, Z).

        Where a latent's prior hangs on others it is taken at one draw of these, of picture i a function of (seed,
        ``start`` + i).
        """


@runtime_checkable
class Quantizes(Protocol):
    """Encodes a picture as entries of a codebook."""

    entries: int
    """K, of the codebook."""

    def codes(self, image: Tensor) -> Tensor:
        """Images (N, C, H, W) → which entries stand for them, int64 (N, h, w) in [0, K)."""


@runtime_checkable
class RealImages(Protocol):
    """The side of a data module that metrics and callbacks see: pictures as they are, without random transforms."""

    channels: int
    height: int
    width: int
    classes: int

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Batches (n, C, H, W) uint8 of a split, "train", "test" or "whole" (what ``train`` was taken from), in a fixed
        order, ``limit`` pictures at most.
        """

    def count(self, split: str) -> int:
        """The number of pictures in the split."""

    def fingerprint(self, split: str) -> str:
        """A hash of the split's pixels after its fixed transforms: equal if and only if ``images`` yields the same."""

    def describe(self) -> dict[str, Any]:
        """What the data are, for a protocol: name, counts of the splits, size, transform."""


@runtime_checkable
class LabelledImages(RealImages, Protocol):
    """Pictures with classes."""

    name: str

    def labels(self, split: str) -> Tensor:
        """The classes (N,) of what ``images`` yields, int64."""


@runtime_checkable
class RealClips(Protocol):
    """The side of a data module of sequences that metrics and callbacks see: clips without random transforms."""

    channels: int
    height: int
    width: int
    length: int
    """T, frames of a clip."""

    def clips(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Batches (n, T, C, H, W) uint8 of a split, "train" or "test", in a fixed order, ``limit`` clips at most; of an
        endless set "train" is as many clips as an epoch has.
        """

    def count(self, split: str) -> int:
        """The number of clips in the split."""

    def fingerprint(self, split: str) -> str:
        """A hash of the split's pixels: equal if and only if ``clips`` yields the same."""

    def describe(self) -> dict[str, Any]:
        """What the data are, for a protocol: name, counts of the splits, size, frames of a clip."""


@runtime_checkable
class Mixture(Protocol):
    """The side of a data module of points, (N, 2, 1, 1), that metrics and callbacks see."""

    centres: Tensor
    """Of the modes, (K, 2)."""

    deviation: float
    """Of the points about their centre."""

    def points(self, n: int) -> Tensor:
        """Points (n, 2) of the data."""

    def describe(self) -> dict[str, Any]:
        """What the data are, for a protocol."""


@runtime_checkable
class TwoDomains(Protocol):
    """The side of a data module for translation that metrics and callbacks see."""

    paired: bool
    """Whether picture i of "a" belongs to picture i of "b"; otherwise the sides are drawn independently."""

    domains: Mapping[str, Domain]
    sides: Mapping[str, RealImages]
    """The pictures of "a" and of "b" as they are stored: of label maps, ``images`` yields class ids (n, 1, H, W)."""
