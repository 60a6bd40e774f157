"""The variational autoencoder (Kingma and Welling 2014), with labels (Sohn et al. 2015) and β (Higgins et al. 2017)."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from gan_lab.common.bounds import Natural, NonNegative
from gan_lab.common.distributed import all_reduce_mean
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.likelihoods import BIN_WIDTH
from gan_lab.models.bases.autoencoder import Autoencoder, kl_divergence
from gan_lab.models.bases.labels import Label
from gan_lab.models.bases.latents import Prior, draw_per_sample
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions

Encoded = Tensor | list[Tensor]
"""Output of an encoder for N images: means and log-variances (N, 2Z), or feature maps (N, F, h, w) at each scale."""

MAX_ROWS, MAX_VALUES = 4096, 1 << 22
"""Upper bounds of the latents that are decoded at once for a bound, and of the values of their images."""


class Likelihood(Protocol):
    """Likelihood of images; see ``gan_lab.losses.likelihoods``."""

    levels: int
    is_density: bool

    def log_prob(self, params: Tensor, images: Tensor) -> Tensor:
        """Returns nats (N,), given parameters (N, P·C, H, W) and images (N, C, H, W)."""

    def mean(self, params: Tensor) -> Tensor:
        """Returns the expected images (N, C, H, W), given parameters (N, P·C, H, W)."""

    def draw(self, params: Tensor, uniform: Tensor) -> Tensor:
        """Returns images (N, C, H, W), given parameters (N, P·C, H, W) and uniform numbers (N, C, H, W)."""


class PosteriorSample(NamedTuple):
    """One posterior sample for N images.

    Args:
        params: the decoder's output, the parameters of the likelihood.
        kl: KL divergence of each latent's posterior from its prior in nats, (N, Z).
        log_ratio: log p(z) - log q(z | x) at the sample, (N,).
    """

    params: Tensor
    kl: Tensor
    log_ratio: Tensor


class VAE(Autoencoder):
    """Maximises the evidence lower bound of each image, in nats. Satisfies ``HasLikelihood`` too.

    Args:
        encoder: images (N, C, H, W) → means and log-variances (N, 2Z).
        decoder: latents (N, Z) → parameters of the likelihood of each value.
        likelihood: likelihood of images.
        optimizer: function from parameters to an optimizer.
        prior: distribution of the latents, N(0, I).
        beta: weight of the KL divergence; a schedule of ``beta`` anneals it.
        free_bits: nats of each latent's KL divergence, averaged over the batch (or over each micro-batch), that cost
            nothing (Kingma et al. 2016, eq. 15).
        classes: K of a conditional model; 0 for an unconditional one.
        engine: options that do not depend on the method.
    """

    exact = False
    draws = False
    """Sample each value from its likelihood; otherwise samples are its mean."""

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        optimizer: MakeOptimizer,
        prior: Prior | None,
        beta: NonNegative = 1.0,
        free_bits: NonNegative = 0.0,
        classes: Natural = 0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__(encoder, decoder, prior, {"autoencoder": optimizer}, classes, engine)
        self.likelihood, self.levels = likelihood, likelihood.levels
        self.beta, self.free_bits = beta, free_bits

    def phases(self) -> Sequence[Phase]:
        return [Phase("autoencoder", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.encoder, self.decoder]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the two terms of the bound (eq. 3)."""
        images, labels = batch["image"], self.condition(batch)
        encoded, epsilon = self.encoder(images, *labels), self.prior(noise, len(images))
        sample = self.posterior_sample(self.decoder, encoded, epsilon, *labels)
        reconstruction = -self.likelihood.log_prob(sample.params, self.dequantize(images, noise)).mean()
        terms = {"reconstruction": reconstruction, "kl": self.beta * kl_with_free_bits(sample.kl, self.free_bits)}
        return Losses(terms, elbo_logs(images, sample.kl.sum(1).mean(), reconstruction))

    def posterior_sample(
        self, decoder: nn.Module, encoded: Encoded, epsilon: Tensor, *labels: Tensor
    ) -> PosteriorSample:
        """Decodes the sample z = μ + σε of the posterior (section 2.4).

        Args:
            decoder: live or averaged decoder.
            encoded: output of the encoder, here (N, 2Z).
            epsilon: ε (N, Z).
            labels: (N,), of a conditional model.

        Raises:
            UserError: if the encoder and the prior have different numbers of latents.
        """
        mean, log_variance = cast(Tensor, encoded).float().chunk(2, 1)
        if mean.shape != epsilon.shape:
            raise UserError(
                f"The encoder has {mean.shape[1]} latents and the prior {epsilon.shape[1]}: set both by "
                "model.prior.dim."
            )
        z = mean + (log_variance / 2).exp() * epsilon
        log_ratio = (epsilon.square() + log_variance - z.square()).sum(1) / 2
        return PosteriorSample(decoder(z, *labels), kl_divergence(mean, log_variance), log_ratio)

    def to_images(self, decoded: Tensor) -> Tensor:
        """Returns the expected images (N, C, H, W), given parameters of the likelihood (N, P·C, H, W)."""
        return self.likelihood.mean(decoded)

    def dequantize(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Adds uniform noise within each level to images (N, C, H, W) if the likelihood is a density."""
        if not self.likelihood.is_density:
            return images
        return images + BIN_WIDTH * (noise.uniform(*images.shape) - 0.5)

    def log_weights(
        self, decoder: nn.Module, images: Tensor, encoded: Encoded, epsilon: Tensor, *labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns log p(x, z) - log q(z | x), log p(x | z), and the closed-form KL divergence of k samples, all (N, k).

        Args:
            decoder: live or averaged decoder.
            images: (N, C, H, W).
            encoded: output of the encoder for the images.
            epsilon: ε (N, k, Z).
            labels: (N,), of a conditional model.
        """
        k = epsilon.shape[1]
        images, *labels = (each.repeat_interleave(k, 0) for each in (images, *labels))  # type: ignore[assignment]
        encoded = tree_map(lambda part: part.repeat_interleave(k, 0), encoded)
        sample = self.posterior_sample(decoder, encoded, epsilon.flatten(0, 1), *labels)
        log_likelihood = self.likelihood.log_prob(sample.params, images)
        kl = sample.kl.sum(1)
        return (log_likelihood + sample.log_ratio).view(-1, k), log_likelihood.view(-1, k), kl.view(-1, k)

    # Capabilities.

    def set_inference_options(self, draws: bool) -> None:
        """Chooses whether samples are drawn from the likelihood of each value, or are its mean."""
        self.draws = draws

    def sample(self, n: int, seed: int = 0, start: int = 0, label: Label = None, truncation: float = 1.0) -> Tensor:
        """Returns samples (n, C, H, W); if the label is None, sample i of a conditional model has class i mod K."""
        if not self.draws:
            return super().sample(n, seed, start, label, truncation)
        latents = self.latents(n, seed, start, truncation)
        labels = self.labels.of_samples(label, n, start, self.device)
        with self.inference_mode():
            params = self.averaged("decoder")(latents, *labels)
            shape = self.likelihood.mean(params).shape[1:]
            uniform = draw_per_sample(lambda noise: noise.uniform(1, *shape), n, seed, start, "draw").to(self.device)
            return self.likelihood.draw(params, uniform)

    def log_likelihood(self, image: Tensor, label: Label = None, k: int = 1, seed: int = 0, start: int = 0) -> Tensor:
        """Returns the bound by k samples in nats (N,), given images (N, C, H, W); for k = 1 it is the ELBO.

        Raises:
            UserError: for fewer than one sample.
        """
        if k < 1:
            raise UserError(f"k={k} is not valid: give an integer of at least 1.")
        n, labels, image = len(image), self.labels.expand(label, len(image), self.device), image.to(self.device)
        epsilon = draw_per_sample(lambda noise: self.prior(noise, k)[None], n, seed, start, "bound").to(self.device)
        zeros = torch.zeros(1, *image.shape[1:])
        offset = draw_per_sample(lambda noise: self.dequantize(zeros, noise), n, seed, start, "level")
        dequantized = image + offset.to(self.device)
        with self.inference_mode():
            encoded, decoder = self.averaged("encoder")(image, *labels), self.averaged("decoder")
            rows = min(MAX_ROWS, MAX_VALUES // zeros.numel())
            parts = epsilon.split(max(1, rows // max(n, 1)), 1)
            chunks = [self.log_weights(decoder, dequantized, encoded, part, *labels) for part in parts]
            weights, log_likelihood, kl = (torch.cat(each, 1) for each in zip(*chunks, strict=True))
            return (log_likelihood - kl)[:, 0] if k == 1 else weights.logsumexp(1) - math.log(k)


def kl_with_free_bits(kl: Tensor, free_bits: float) -> Tensor:
    """Returns the KL divergence with free bits, a scalar, given that of each latent (N, Z).

    The mean over the global batch of each latent is floored at ``free_bits`` nats; the latents are summed.
    """
    mean = kl.mean(0)
    if not free_bits:
        return mean.sum()
    return torch.where(all_reduce_mean(mean.detach()) > free_bits, mean, free_bits).sum()


def elbo_logs(images: Tensor, kl: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
    """Returns the KL divergence and the bound at β = 1 in nats per image, and the bound in bits per value.

    Args:
        images: (N, C, H, W).
        kl: mean KL divergence, a scalar.
        reconstruction: mean negative log-likelihood, a scalar.
    """
    elbo = -(reconstruction + kl)
    return {"kl_nats": kl, "elbo": elbo, "bits": -elbo / (images[0].numel() * math.log(2))}
