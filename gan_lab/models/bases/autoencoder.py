"""What methods with an encoder and a decoder share: latents of given pictures, and pictures of those again."""

from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.models.bases.latents import draw_per_sample
from gan_lab.models.bases.sampling import LatentModule
from gan_lab.training.ema import EMA

GIBBS = 50
"""Steps between a picture's latents and what they make of its unknown part."""


class Autoencoder(LatentModule):
    """Pictures as Gaussians over latents, and back; satisfies ``Encodes``, ``HasPosterior``, ``Reconstructs``, ``Restores``.

    Pictures are made by the networks' moving averages.

    Args:
        encoder: images (N, C, H, W) → means and logarithms of variances of the latents, (N, 2Z).
        decoder: latents (N, Z) → images, or what ``to_images`` makes images of.
        ema_half_life: of both networks' averages, in images.
        ema_ramp: its upper bound as a share of the images seen; None sets none.
        latent: what ``LatentModule`` takes; its prior is N(0, I).
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        ema_half_life: float = 10_000,
        ema_ramp: float | None = 0.05,
        **latent: Any,
    ) -> None:
        super().__init__(ema=EMA({"encoder": encoder, "decoder": decoder}, ema_half_life, ema_ramp), **latent)
        self.encoder, self.decoder = encoder, decoder

    def modules_to_compile(self) -> list[nn.Module]:
        return [self.encoder, self.decoder]

    def to_images(self, decoded: Tensor) -> Tensor:
        """What the decoder gives → images."""
        return decoded

    def generate(self, latents: Tensor, *labels: Tensor) -> Tensor:
        return self.to_images(self.averaged("decoder")(latents, *labels))

    def posterior(self, images: Tensor, epsilon: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        """The draw z = μ + σε of each latent, and its KL divergence from the prior, both (N, Z); by the averages."""
        mean, log_variance = self.averaged("encoder")(images, *labels).float().chunk(2, 1)
        return mean + (log_variance / 2).exp() * epsilon, divergence(mean, log_variance)

    def infer(
        self, image: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> tuple[Tensor, Tensor]:
        still = torch.zeros(len(image), self.latents(1).shape[1], device=self.device)
        with self.inference_mode():
            return self.posterior(image.to(self.device), still, *self.expand_labels(label, len(image)))

    def encode(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] → the means of their latents, (N, Z)."""
        return self.infer(image, label)[0]

    def reconstruct(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        return self.decode(self.encode(image, label), label)

    def restore(
        self, image: Tensor, mask: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> Tensor:
        """By a Markov chain of pictures, at their mean, and latents, from a sample on (Rezende et al. 2014, app. F)."""
        image, known = image.to(self.device), mask.to(self.device) > 0
        made = self.decode(self.latents(len(image), seed, start), label)
        labels = self.expand_labels(label, len(image))
        for step in range(GIBBS):
            epsilon = draw_per_sample(lambda noise: self.prior(noise, 1), len(image), seed, start, f"restore {step}")
            with self.inference_mode():
                drawn, _ = self.posterior(torch.where(known, image, made), epsilon.to(self.device), *labels)
            made = self.decode(drawn, label)
        return torch.where(known, image, made)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) of each latent in nats (Kingma and Welling 2014, appendix B), (N, Z)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2
