"""Base of the methods with an encoder and a decoder: latents of given images, and images from latents."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural
from gan_lab.common.deprecation import accept_old_attributes
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import bounded
from gan_lab.common.types import Batch
from gan_lab.models.bases.labels import Label, Labels
from gan_lab.models.bases.latents import Prior, draw_per_sample, sample_latents
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.options import EngineOptions

GIBBS_STEPS = 50
"""Gibbs steps of ``restore``."""


class Autoencoder(AlternatingModule):
    """Encoder to Gaussians over latents, and decoder back to images; samples come from the averages of both.

    Satisfies ``Samples``, ``Traverses``, ``Encodes``, ``HasPosterior``, ``Reconstructs`` and ``Restores``.

    Args:
        encoder: images (N, C, H, W) → means and log-variances of the latents, (N, 2Z).
        decoder: latents (N, Z) → images, or the argument of ``to_images``.
        prior: distribution of the latents, N(0, I).
        optimizers: functions from parameters to an optimizer, by phase.
        classes: K of a conditional model, whose networks take labels (N,) as well; 0 for an unconditional one.
        engine: options that do not depend on the method.

    Raises:
        UserError: without a prior.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: Prior | None,
        optimizers: Mapping[str, MakeOptimizer],
        classes: Natural = 0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__(optimizers, engine, {"encoder": encoder, "decoder": decoder})
        if prior is None:
            raise UserError(
                f"{type(self).__name__} has one level of latents, which needs a prior: give coder=mlp or conv."
            )
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.labels, self.classes = Labels(classes), classes
        accept_old_attributes("Prior", prior)

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.encoder, self.decoder]

    def condition(self, batch: Batch) -> tuple[Tensor, ...]:
        """Returns the extra network inputs: ``(labels,)``, int64 (N,), for a conditional model, else ``()``."""
        return self.labels.condition(batch)

    def to_images(self, decoded: Tensor) -> Tensor:
        """Returns images (N, C, H, W), given the output of the decoder (N, …, H, W)."""
        return decoded

    def generate(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """Returns images (n, C, H, W) by the averaged decoder, given latents (n, Z) and labels (n,)."""
        return self.to_images(self.averaged("decoder")(latents, *labels))

    def posterior(self, images: Tensor, epsilon: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the sample z = μ + σε of the posterior, and the KL divergence from the prior in nats, both (N, Z).

        The averaged encoder is used.

        Args:
            images: (N, C, H, W).
            epsilon: ε (N, Z).
            labels: (N,), of a conditional model.
        """
        mean, log_variance = self.averaged("encoder")(images, *labels).float().chunk(2, 1)
        return mean + (log_variance / 2).exp() * epsilon, kl_divergence(mean, log_variance)

    # Capabilities.

    @property
    def num_labels(self) -> int:
        """Number of labels to choose among when sampling, 0 without labels."""
        return self.labels.classes

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: Label = None) -> Tensor:
        """Returns latents (n, Z) of samples start … start + n - 1 of the seed; the label is not used."""
        return sample_latents(self.prior, n, seed, start, truncation).to(self.device)

    @cached_property
    def latent_dim(self) -> int:
        """Z."""
        return self.latents(1).shape[1]

    def latent_range(self) -> Tensor:
        return torch.full((self.latent_dim,), self.prior.latent_range, device=self.device)

    def decode(self, latents: Tensor, label: Label = None) -> Tensor:
        """Returns images (n, C, H, W) in [-1, 1], float32, given latents (n, Z); of class 0 if the label is None.

        Raises:
            UserError: for a label that the model does not know.
        """
        labels = self.labels.expand(label, len(latents), self.device)
        with self.inference_mode():
            return bounded(self.generate(latents.to(self.device), *labels))

    def sample(self, n: int, seed: int = 0, start: int = 0, label: Label = None, truncation: float = 1.0) -> Tensor:
        """Returns samples (n, C, H, W); if the label is None, sample i of a conditional model has class i mod K."""
        return self.decode(self.latents(n, seed, start, truncation), self.labels.cyclic(label, n, start))

    def infer(self, image: Tensor, label: Label = None, seed: int = 0, start: int = 0) -> tuple[Tensor, Tensor]:
        at_mean = torch.zeros(len(image), self.latent_dim, device=self.device)
        labels = self.labels.expand(label, len(image), self.device)
        with self.inference_mode():
            return self.posterior(image.to(self.device), at_mean, *labels)

    def encode(self, image: Tensor, label: Label = None) -> Tensor:
        """Returns the posterior means (N, Z), given images (N, C, H, W) in [-1, 1]."""
        return self.infer(image, label)[0]

    def reconstruct(self, image: Tensor, label: Label = None) -> Tensor:
        return self.decode(self.encode(image, label), label)

    def restore(self, image: Tensor, mask: Tensor, label: Label = None, seed: int = 0, start: int = 0) -> Tensor:
        """Inpaints images (N, C, H, W) where the mask (N, 1, H, W) is 0.

        Gibbs sampling between latents and decoder means, started from a sample (Rezende et al. 2014, appendix F).
        """
        image, known = image.to(self.device), mask.to(self.device) > 0
        restored = self.decode(self.latents(len(image), seed, start), label)
        labels = self.labels.expand(label, len(image), self.device)
        for step in range(GIBBS_STEPS):
            epsilon = draw_per_sample(lambda noise: self.prior(noise, 1), len(image), seed, start, f"restore {step}")
            with self.inference_mode():
                latents, _ = self.posterior(torch.where(known, image, restored), epsilon.to(self.device), *labels)
            restored = self.decode(latents, label)
        return torch.where(known, image, restored)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Returns KL(N(μ, σ²) ‖ N(0, 1)) of each latent in nats, (N, Z), given μ and log σ², both (N, Z).

    Kingma and Welling 2014, appendix B.
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2
