"""Capabilities of models and data modules, on which metrics, callbacks and commands depend.

Shapes are written as in ``gan_lab.common.types``. If a method uses random numbers, those of sample or image i depend on
``seed`` and ``start`` + i alone, whatever the batch size and the number of devices.
"""

from __future__ import annotations  # commands name capabilities before they need torch

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan_lab.common.domains import Domain


LayerNoise = Literal["constant", "random", "none"]
"""Noise of the layers of a generator with styles."""

Identity = dict[str, int | str]
"""What a split of a data set is known again by: ``count``, its number of examples, ``hash``, of their contents, and, if
the hash does not cover them, ``labels``, a hash of their classes."""


@runtime_checkable
class KnownAgain(Protocol):
    """Data that a resumed run knows again: in a changed set, test images may be among those it was trained on."""

    def identities(self) -> dict[str, Identity]:
        """Returns what each split is known again by, as it is trained on and tested with."""


@runtime_checkable
class Samples(Protocol):
    """Generates images. Sample i of a seed depends on (seed, i) alone."""

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Returns samples start … start + n - 1 of the seed, float32 (n, C, H, W) in [-1, 1].

        Args:
            n: number of samples.
            seed, start: see above.
            label: a class for all samples, or int64 (n,).
            truncation: in (0, 1], shrinks the latents towards their mean.
        """


@runtime_checkable
class Decodes(Protocol):
    """Generates images from latents, which can be interpolated."""

    def latents(
        self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: int | Tensor | None = None
    ) -> Tensor:
        """Returns the latents (n, Z) of samples start … start + n - 1 of the seed; see ``Samples.sample``.

        In some latent spaces they include the label, a class for all or int64 (n,).
        """

    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Maps latents (n, Z) to images (n, C, H, W) in [-1, 1]; ``label`` is a class for all or int64 (n,)."""


@runtime_checkable
class Traverses(Decodes, Protocol):
    """Has latents that can be changed one at a time."""

    def latent_range(self) -> Tensor:
        """Returns the half-range r of each latent, (Z,): useful values lie in [-r, r]; 0 marks an inactive latent."""


@runtime_checkable
class Styles(Decodes, Protocol):
    """Generates images from a style for each of its layers."""

    num_styles: int
    """L."""

    noise_sizes: Sequence[tuple[int, int]]
    """Height and width of each layer's noise."""

    def map_styles(
        self,
        latents: Tensor,
        label: int | Tensor | None = None,
        truncation: float | Tensor = 1.0,
        cutoff: int | None = None,
    ) -> Tensor:
        """Maps latents (n, Z) to styles (n, L, W).

        Args:
            latents: (n, Z).
            label: a class for all, or int64 (n,).
            truncation: in (0, 1], moves styles towards their average; a number, or a scalar tensor.
            cutoff: number of layers, from the first, that truncation changes; None for all.
        """

    def synthesize(
        self, styles: Tensor, noise: LayerNoise | Sequence[Tensor] = "constant", seed: int = 0, start: int = 0
    ) -> Tensor:
        """Maps styles (n, L, W) to images (n, C, H, W) in [-1, 1], float32.

        Args:
            styles: of samples start … start + n - 1 of the seed.
            noise: of the layers: ``constant``, ``random`` for each sample, ``none``, or a map (n, 1, h, w) for each.
            seed, start: of the random noise.
        """


@runtime_checkable
class Encodes(Protocol):
    """Maps images to latents."""

    def encode(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Maps images (N, C, H, W) in [-1, 1] to latents (N, Z).

        ``label`` is a class for all or int64 (N,), for conditional models.
        """


@runtime_checkable
class EncodesStyles(Styles, Protocol):
    """Maps images to a style for each layer."""

    def encode_styles(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Maps images (N, C, H, W) in [-1, 1] to styles (N, L, W).

        ``label`` is a class for all or int64 (N,), for conditional models.
        """


@runtime_checkable
class Translates(Protocol):
    """Translates images from one domain to the other. The domains are "a" and "b"; the source of paired data is "a"."""

    domains: Mapping[str, Domain]
    directions: Sequence[str]
    """The directions that the model translates in: "a2b", "b2a" or both."""

    multiple: int
    """Sides of the images must be multiples of it."""

    def translator(self, to: str) -> nn.Module:
        """Returns the network that maps images (N, C, H, W) to images (N, C', H, W) of domain ``to``."""

    def translate(self, image: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
        """Translates images to domain ``to``.

        Args:
            image: a network's input (N, C, H, W), see ``Domain.encode``.
            to: "a" or "b".
            seed, start: of random numbers (dropout), see the module.

        Returns:
            float32 (N, C', H, W).
        """


@runtime_checkable
class TranslatesInStyles(Translates, Protocol):
    """Translates images in a style that is drawn at random, or is that of another image.

    ``translate(image, to, seed, start)`` takes styles start, start + 1, … of the seed.
    """

    def random_styles(self, n: int, to: str, seed: int = 0, start: int = 0) -> Tensor:
        """Returns styles start … start + n - 1 of the seed, (n, S), for translations to domain ``to``."""

    def styles_of(self, image: Tensor, of: str) -> Tensor:
        """Returns the styles (N, S) of images (N, C, H, W) of domain ``of``."""

    def restyle(self, image: Tensor, to: str, styles: Tensor) -> Tensor:
        """Translates images (N, C, H, W) to domain ``to`` in styles (N, S); see ``Translates.translate``."""


@runtime_checkable
class TranslatesAmong(Protocol):
    """Translates images among many domains, which are classes of the data, in styles of these."""

    classes: int
    """K, the number of domains."""

    multiple: int
    """Sides of the images must be multiples of it."""

    def random_styles(self, n: int, to: int | Tensor, seed: int = 0, start: int = 0) -> Tensor:
        """Returns styles start … start + n - 1 of the seed, (n, S), of a class for all or int64 (n,)."""

    def styles_of(self, image: Tensor, of: int | Tensor) -> Tensor:
        """Returns the styles (N, S) of images (N, C, H, W) in [-1, 1] of a class for all or int64 (N,)."""

    def restyle(self, image: Tensor, to: int | Tensor, styles: Tensor) -> Tensor:
        """Translates images (N, C, H, W) in [-1, 1] to a class for all or int64 (N,), in styles (N, S).

        Returns:
            float32 (N, C, H, W) in [-1, 1].
        """


@runtime_checkable
class HasDiscriminator(Protocol):
    """Has a discriminator between real and generated images."""

    def discriminator_logits(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Returns the discriminator's logits, float32 (N, …), without augmentation; they record ``gradients``.

        Args:
            image: (N, C, H, W) in [-1, 1].
            label: a class for all or int64 (N,), for conditional models.
        """


@runtime_checkable
class Discriminates(Protocol):
    """Has discriminators between real and generated images of a domain."""

    discriminated: Sequence[str]
    """The domains that have a discriminator: "a", "b" or both."""

    decision_threshold: float | None
    """Logits above it mean real; None if the objective defines no such threshold."""

    def logits(self, image: Tensor, of: str, source: Tensor) -> Tensor:
        """Returns a discriminator's logits, float32 (N, …).

        Args:
            image: (N, C, H, W), see ``Domain.encode``.
            of: the domain, "a" or "b".
            source: (N, C', H, W), the images that they are translations of, or are paired with; input of a
                conditional discriminator.
        """


@runtime_checkable
class Predicts(Protocol):
    """Forecasts the frames that follow a sequence."""

    context_frames: int
    """Number of context frames in training; ``predict`` accepts any number from 1 up."""

    def predict(self, frames: Tensor, steps: int) -> Tensor:
        """Maps frames (N, T, C, H, W) in [-1, 1] to the next frames, float32 (N, steps, C, H, W) in [-1, 1]."""


@runtime_checkable
class SamplesClips(Protocol):
    """Generates clips."""

    def sample_clips(
        self,
        n: int,
        steps: int,
        seed: int = 0,
        start: int = 0,
        motion: int | None = None,
        label: int | Tensor | None = None,
    ) -> Tensor:
        """Returns clips start … start + n - 1 of the seed, float32 (n, steps, C, H, W) in [-1, 1].

        Clip i depends on (seed, i, motion, label) alone, and its first frames do not depend on ``steps``.

        Args:
            n: number of clips.
            steps: number of frames.
            seed, start: see above.
            motion: all clips move like clip ``motion`` of the seed; None lets each have its own motion.
            label: a class for all clips, or int64 (n,).
        """


@runtime_checkable
class DecodesClips(SamplesClips, Protocol):
    """Generates clips from codes."""

    def clip_codes(
        self, n: int, steps: int, seed: int = 0, start: int = 0, motion: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns contents (n, Z) and noise of the motion (n, T', M) of clips; see ``SamplesClips.sample_clips``."""

    def decode_clips(self, content: Tensor, motion: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Maps contents (n, Z) and noise (n, T', M) to clips, float32 (n, T, C, H, W) in [-1, 1].

        ``label`` is a class for all or int64 (n,).
        """


@runtime_checkable
class HasLogits(Protocol):
    """Predicts each value of an image from those before it."""

    def logits_of(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Returns the logits of the values, float32 (N, K, C, H, W), given images (N, C, H, W) in [-1, 1].

        ``label`` is a class for all or int64 (N,), for conditional models.
        """


@runtime_checkable
class DrawsStepwise(Protocol):
    """Generates images step by step."""

    def canvases(self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None) -> Tensor:
        """Returns samples start … start + n - 1 of the seed after each step, float32 (n, T, C, H, W) in [-1, 1].

        ``label`` is a class for all or int64 (n,).
        """


@runtime_checkable
class Restores(Protocol):
    """Inpaints: fills in the unknown pixels of images."""

    def restore(
        self, image: Tensor, mask: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> Tensor:
        """Returns the complete images, float32 (N, C, H, W) in [-1, 1]; known pixels stay as they are.

        Args:
            image: (N, C, H, W) in [-1, 1].
            mask: (N, 1, H, W), 1 at known pixels and 0 at unknown ones.
            label: a class for all or int64 (N,), for conditional models.
            seed, start: of random numbers, see the module.
        """


@runtime_checkable
class Repairs(Protocol):
    """Undoes damage in images of any size: noise, compression, low resolution, unknown pixels."""

    channels: int
    """C, of the damaged images and of the results: 1 or 3."""

    factor: int
    """Sides of a result in sides of the damaged image."""

    masks: bool
    """True if it fills unknown pixels, and needs to know which they are."""

    multiple: int
    """Sides of the damaged images must be multiples of it."""

    receptive_radius: int | None
    """Pixels of the damaged image, in each direction, that a result depends on; None if it depends on all of them."""

    def repair(self, image: Tensor, known: Tensor | None = None) -> Tensor:
        """Returns the restored images, float32 (N, C, factor · h, factor · w) in [-1, 1].

        Args:
            image: damaged images (N, C, h, w) in [-1, 1].
            known: (N, 1, h, w), 1 at known pixels, which stay as they are, and 0 at those to be filled; only for models
                that fill pixels.
        """


@runtime_checkable
class Stylizes(Protocol):
    """Gives images of any size the style of pictures, in one pass."""

    any_style: bool
    """True if it takes the style of any pictures; false if it learnt one."""

    multiple: int
    """Sides of the images must be multiples of it."""

    def stylize(
        self, image: Tensor, styles: Sequence[Tensor] = (), shares: Sequence[Tensor] = (), strength: float = 1.0
    ) -> Tensor:
        """Returns stylised images, float32 (N, 3, H, W) in [-1, 1].

        Args:
            image: (N, 3, H, W) in [-1, 1].
            styles: pictures (1, 3, h, w) in [-1, 1] of any sizes, for models that take any style.
            shares: of each style in the mixture, (1, 1, H', W') of any size; the image's own style has the rest.
                Without them all share alike.
            strength: 0 keeps the image's own style, 1 takes the pictures'.
        """


@runtime_checkable
class Reconstructs(Protocol):
    """Reconstructs images from their latents."""

    def reconstruct(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Returns deterministic reconstructions of images (N, C, H, W) in [-1, 1], float32 (N, C, H, W) in [-1, 1].

        ``label`` is a class for all or int64 (N,), for conditional models.
        """


@runtime_checkable
class HasLikelihood(Protocol):
    """Computes the likelihood of images, or a bound of it."""

    exact: bool
    """True for the likelihood itself, false for a lower bound."""

    levels: int
    """Number of values of a pixel's channel: 256, or 2 for binary images."""

    def log_likelihood(
        self, image: Tensor, label: int | Tensor | None = None, k: int = 1, seed: int = 0, start: int = 0
    ) -> Tensor:
        """Returns the log-likelihood of each image in nats, float32 (N,).

        Args:
            image: (N, C, H, W) in [-1, 1].
            label: a class for all or int64 (N,), for conditional models.
            k: importance-weighted samples of a bound (Burda et al. 2016, eq. 8); k = 1 is the ELBO.
            seed, start: of random numbers, see the module.
        """


@runtime_checkable
class HasPosterior(Protocol):
    """Encodes images as posterior distributions over latents."""

    def infer(
        self, image: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Returns the posterior's means (N, Z), and the KL divergence of each latent from its prior in nats, (N, Z).

        For hierarchical priors the KL divergence is evaluated at one sample of the parent latents.

        Args:
            image: (N, C, H, W) in [-1, 1].
            label: a class for all or int64 (N,), for conditional models.
            seed, start: of random numbers, see the module.
        """


@runtime_checkable
class Quantizes(Protocol):
    """Encodes images as entries of a codebook."""

    entries: int
    """K, the number of entries."""

    def codes(self, image: Tensor) -> Tensor:
        """Maps images (N, C, H, W) in [-1, 1] to indices of entries, int64 (N, h, w) in [0, K)."""


@runtime_checkable
class RealImages(Protocol):
    """A data module of images, as metrics and callbacks see it: without random transforms."""

    channels: int
    height: int
    width: int
    classes: int

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Yields batches uint8 (n, C, H, W) of a split in a fixed order.

        Args:
            split: "train", "test" or "whole", which is the set that "train" is a subset of.
            limit: largest number of images.
        """

    def count(self, split: str) -> int:
        """Returns the number of images in the split."""

    def fingerprint(self, split: str) -> str:
        """Returns a hash of the split's pixels after its fixed transforms: it identifies what ``images`` yields."""

    def describe(self) -> dict[str, object]:
        """Returns a description for reports: name, counts of the splits, size, transform."""


class DamagedImages(NamedTuple):
    """Clean images and what damage made of them.

    Args:
        clean: uint8 (n, C, H, W).
        damaged: uint8 (n, C, h, w).
        known: uint8 (n, 1, h, w), 1 at known pixels; None if all are.
    """

    clean: Tensor
    damaged: Tensor
    known: Tensor | None


@runtime_checkable
class Damages(RealImages, Protocol):
    """A data module of clean images and the same after damage, as metrics and callbacks see it."""

    factor: int
    """Sides of the clean images in sides of the damaged ones."""

    masks: bool
    """True if the damage leaves pixels unknown."""

    def fixed_damage(self, clean: Tensor, rows: Sequence[int]) -> DamagedImages:
        """Damages images of a split in a way that is the same for every run.

        Args:
            clean: what ``images`` yields, uint8 (n, C, H, W).
            rows: their numbers in the split.
        """


@runtime_checkable
class LabelledImages(RealImages, Protocol):
    """A data module of images with class labels, as metrics and callbacks see it."""

    name: str

    def labels(self, split: str) -> Tensor:
        """Returns the class labels of the images that ``images`` yields, int64 (N,)."""


@runtime_checkable
class RealClips(Protocol):
    """A data module of clips, as metrics and callbacks see it: without random transforms."""

    channels: int
    height: int
    width: int
    length: int
    """T, the number of frames of a clip."""

    def clips(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Yields batches uint8 (n, T, C, H, W) of a split in a fixed order.

        Args:
            split: "train" or "test"; "train" of an endless set has as many clips as an epoch.
            limit: largest number of clips.
        """

    def count(self, split: str) -> int:
        """Returns the number of clips in the split."""

    def fingerprint(self, split: str) -> str:
        """Returns a hash of the split's pixels: it identifies what ``clips`` yields."""

    def describe(self) -> dict[str, object]:
        """Returns a description for reports: name, counts of the splits, size, frames of a clip."""


@runtime_checkable
class Mixture(Protocol):
    """A data module of points of a mixture of Gaussians, as metrics and callbacks see it."""

    centres: Tensor
    """The centres of the modes, (K, 2)."""

    deviation: float
    """The standard deviation of each mode."""

    def points(self, n: int) -> Tensor:
        """Returns points (n, 2) of the data."""

    def describe(self) -> dict[str, object]:
        """Returns a description for reports."""


@runtime_checkable
class TwoDomains(Protocol):
    """A data module of two domains, as metrics and callbacks see it."""

    paired: bool
    """True if image i of "a" belongs to image i of "b"; false if the domains are sampled independently."""

    domains: Mapping[str, Domain]
    sides: Mapping[str, RealImages]
    """The stored images of "a" and of "b"; for label maps, ``images`` yields class ids (n, 1, H, W)."""
