"""The variational autoencoder (Kingma and Welling 2014), with labels (Sohn et al. 2015) and β (Higgins et al. 2017)."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from gan_lab.common.distributed import all_reduce_mean
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.likelihoods import BIN
from gan_lab.models.bases.autoencoder import Autoencoder, divergence
from gan_lab.models.bases.latents import draw_per_sample
from gan_lab.training.alternating import MakeOptimizer

ROWS, VALUES = 4096, 1 << 22
"""Latents that are decoded at once for a bound, and values of the pictures that they make, at most."""


class Likelihood(Protocol):
    """See ``gan_lab.losses.likelihoods``."""

    levels: int
    noisy: bool

    def log_prob(self, given: Tensor, images: Tensor) -> Tensor: ...

    def mean(self, given: Tensor) -> Tensor: ...

    def draw(self, given: Tensor, uniform: Tensor) -> Tensor: ...


class PosteriorSample(NamedTuple):
    """What one draw of the latents of N pictures says.

    Args:
        given: what the decoder says of each value.
        kl: of each latent's posterior from its prior in nats, (N, Z).
        ratio: log p(z) - log q(z | x) at the draw, (N,).
    """

    given: Tensor
    kl: Tensor
    ratio: Tensor


class VAE(Autoencoder):
    """Maximises the evidence lower bound of each picture, in nats; satisfies ``gan_lab.common.capabilities.HasLikelihood`` too.

    Args:
        encoder: images → means and logarithms of variances (N, 2Z).
        decoder: latents (N, Z) → what the likelihood is given of each value.
        likelihood: of pictures.
        optimizer: parameters → optimizer.
        beta: weight of the KL divergence; a schedule of ``beta`` anneals it.
        free_bits: nats that each latent's divergence, averaged over the batch (of micro-batches over each), may have
            without cost (Kingma et al. 2016, eq. 15).
        autoencoder: what ``Autoencoder`` takes.
    """

    exact = False
    draws = False
    """Whether samples are drawn of what the likelihood says of each value; else they are its mean."""

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        optimizer: MakeOptimizer,
        beta: float = 1.0,
        free_bits: float = 0.0,
        **autoencoder: Any,
    ) -> None:
        super().__init__(encoder, decoder, optimizers={"autoencoder": optimizer}, **autoencoder)
        self.likelihood, self.levels = likelihood, likelihood.levels
        self.beta, self.free_bits = beta, free_bits

    def phases(self) -> Sequence[Phase]:
        return [Phase("autoencoder", self.losses)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.encoder, self.decoder]

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """The bound's two parts (eq. 3)."""
        images, labels = batch["image"], self.condition(batch)
        found = self.posterior_sample(
            self.decoder, self.encoder(images, *labels), self.prior(noise, len(images)), *labels
        )
        reconstruction = -self.likelihood.log_prob(found.given, self.dequantize(images, noise)).mean()
        terms = {"reconstruction": reconstruction, "kl": self.beta * kl_with_free_bits(found.kl, self.free_bits)}
        return Losses(terms, logs(images, found.kl.sum(1).mean(), reconstruction))

    def posterior_sample(self, decoder: Any, encoded: Any, epsilon: Tensor, *labels: Tensor) -> PosteriorSample:
        """What the draw z = μ + σε of each picture's latents says (section 2.4), ε (N, Z)."""
        mean, log_variance = encoded.float().chunk(2, 1)
        if mean.shape != epsilon.shape:
            raise UserError(
                f"The encoder tells of {mean.shape[1]} latents and the prior of {epsilon.shape[1]}: give "
                "model.prior.dim the number of coder.latent."
            )
        z = mean + (log_variance / 2).exp() * epsilon
        ratio = (epsilon.square() + log_variance - z.square()).sum(1) / 2
        return PosteriorSample(decoder(z, *labels), divergence(mean, log_variance), ratio)

    def to_images(self, decoded: Tensor) -> Tensor:
        return self.likelihood.mean(decoded)

    def dequantize(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Pictures as the likelihood needs them: a density's with uniform noise within each level."""
        return images + BIN * (noise.uniform(*images.shape) - 0.5) if self.likelihood.noisy else images

    def log_weights(
        self, decoder: nn.Module, images: Tensor, encoded: Any, epsilon: Tensor, *labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """For draws ε (N, k, Z) log p(x, z) - log q(z | x), its part log p(x | z), and the divergence by its closed
        form, all (N, k).
        """
        k = epsilon.shape[1]
        images, *labels = (each.repeat_interleave(k, 0) for each in (images, *labels))  # type: ignore[assignment]
        encoded = tree_map(lambda each: each.repeat_interleave(k, 0), encoded)
        found = self.posterior_sample(decoder, encoded, epsilon.flatten(0, 1), *labels)
        explained = self.likelihood.log_prob(found.given, images)
        kl = found.kl.sum(1)
        return (explained + found.ratio).view(-1, k), explained.view(-1, k), kl.view(-1, k)

    # Capabilities.

    def set_inference_options(self, draws: bool) -> None:
        """Samples are drawn of what the likelihood says of each value, or they are its mean."""
        self.draws = draws

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Without a label, sample i of a conditional model is of class i mod K."""
        if not self.draws:
            return super().sample(n, seed, start, label, truncation)
        latents, labels = (
            self.latents(n, seed, start, truncation),
            self.expand_labels(self.cyclic_labels(label, n, start), n),
        )
        with self.inference_mode():
            given = self.averaged("decoder")(latents, *labels)
            shape = self.likelihood.mean(given).shape[1:]
            uniform = draw_per_sample(lambda noise: noise.uniform(1, *shape), n, seed, start, "draw").to(self.device)
            return self.likelihood.draw(given, uniform)

    def log_likelihood(
        self, image: Tensor, label: int | Tensor | None = None, k: int = 1, seed: int = 0, start: int = 0
    ) -> Tensor:
        if k < 1:
            raise UserError(f"k={k} samples do not serve: give a whole number from 1 up.")
        n, labels = len(image), self.expand_labels(label, len(image))
        epsilon = draw_per_sample(lambda noise: self.prior(noise, k)[None], n, seed, start, "bound").to(self.device)
        level, image = torch.zeros(1, *image.shape[1:]), image.to(self.device)
        within = image + draw_per_sample(lambda noise: self.dequantize(level, noise), n, seed, start, "level").to(
            self.device
        )
        with self.inference_mode():
            encoded, decoder = self.averaged("encoder")(image, *labels), self.averaged("decoder")
            rows = min(ROWS, VALUES // level.numel())
            parts = epsilon.split(max(1, rows // max(n, 1)), 1)
            found = [self.log_weights(decoder, within, encoded, part, *labels) for part in parts]
            weights, explained, kl = (torch.cat(each, 1) for each in zip(*found, strict=True))
            return (explained - kl)[:, 0] if k == 1 else weights.logsumexp(1) - math.log(k)


def kl_with_free_bits(kl: Tensor, free_bits: float) -> Tensor:
    """The divergences (N, Z), averaged over the global batch, of those latents that exceed what is free; a scalar."""
    mean = kl.mean(0)
    if not free_bits:
        return mean.sum()
    return torch.where(all_reduce_mean(mean.detach()) > free_bits, mean, free_bits).sum()


def logs(images: Tensor, kl: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
    """The divergence and the bound at β = 1 in nats a picture, and the bound in bits a value."""
    elbo = -(reconstruction + kl)
    return {"kl_nats": kl, "elbo": elbo, "bits": -elbo / (images[0].numel() * math.log(2))}
