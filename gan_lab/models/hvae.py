"""A hierarchical variational autoencoder, after NVAE (Vahdat and Kautz 2020) and the very deep VAE (Child 2021)."""

from collections.abc import Sequence
from typing import Protocol, cast

from torch import Tensor, nn

from gan_lab.common.bounds import Natural, NonNegative
from gan_lab.common.errors import UserError
from gan_lab.models.bases.labels import Label
from gan_lab.models.bases.latents import Normal, draw_per_sample
from gan_lab.models.vae import VAE, Encoded, Likelihood, PosteriorSample
from gan_lab.networks.hierarchical_vae import LatentSample
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions


class HierarchicalDecoder(Protocol):
    """A decoder that infers its latents, group by group."""

    latent: int
    """Z."""

    def infer(self, encoded: Encoded, epsilon: Tensor, *labels: Tensor) -> LatentSample:
        """Returns a posterior sample, given the encoder's output, ε (N, Z) and labels (N,)."""


class HVAE(VAE):
    """Groups of latents from coarse to fine; the prior of each group is conditioned on the groups above.

    The latents of the capabilities are the standard normal numbers ε, from which the priors compute
    z = μ(z above) + σ(z above) ε.

    Args:
        encoder: images (N, C, H, W) → feature maps at each scale.
        decoder: ε (N, Z) → parameters of the likelihood, a ``HierarchicalDecoder`` too.
        likelihood, optimizer, beta, free_bits, classes, engine: see ``VAE``.
        prior: None: the prior is N(0, I) over the decoder's latents.

    Raises:
        UserError: for a decoder without ``infer``, and for another prior.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        optimizer: MakeOptimizer,
        prior: None = None,
        beta: NonNegative = 1.0,
        free_bits: NonNegative = 0.0,
        classes: Natural = 0,
        engine: EngineOptions | None = None,
    ) -> None:
        self.check_decoder(decoder)
        if prior is not None:
            raise UserError("A hierarchical model has priors of its own: leave model.prior out.")
        latents = Normal(cast(HierarchicalDecoder, decoder).latent)
        super().__init__(encoder, decoder, likelihood, optimizer, latents, beta, free_bits, classes, engine)

    @staticmethod
    def check_decoder(decoder: nn.Module) -> None:
        """Checks that the decoder fits the method.

        Raises:
            UserError: if it does not.
        """
        if not hasattr(decoder, "infer"):
            raise UserError("A hierarchical model needs a decoder that infers its latents: leave coder= out.")

    def modules_to_compile(self) -> Sequence[nn.Module]:
        """Returns the encoder alone: ``decoder.infer`` is not the forward that would be compiled."""
        return [self.encoder]

    def posterior_sample(
        self, decoder: nn.Module, encoded: Encoded, epsilon: Tensor, *labels: Tensor
    ) -> PosteriorSample:
        """Decodes one posterior sample in a single top-down pass (NVAE, section 2 and eq. 3).

        Args:
            decoder: live or averaged decoder.
            encoded: feature maps of the encoder.
            epsilon: ε (N, Z).
            labels: (N,), of a conditional model.
        """
        inferred = cast(HierarchicalDecoder, decoder).infer(encoded, epsilon, *labels)
        return PosteriorSample(inferred.output, inferred.kl, inferred.log_ratio.sum(1))

    def infer(self, image: Tensor, label: Label = None, seed: int = 0, start: int = 0) -> tuple[Tensor, Tensor]:
        """Returns the posterior means, and the KL divergences at a sample of the latents above, both (N, Z)."""
        mean, _ = super().infer(image, label)
        epsilon = draw_per_sample(lambda noise: self.prior(noise, 1), len(image), seed, start, "infer").to(self.device)
        with self.inference_mode():
            labels = self.labels.expand(label, len(image), self.device)
            return mean, self.posterior(image.to(self.device), epsilon, *labels)[1]

    def encode(self, image: Tensor, label: Label = None) -> Tensor:
        return super().infer(image, label)[0]

    def posterior(self, images: Tensor, epsilon: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the sample and its KL divergences, both (N, Z); those of a group are taken at the sample above it.

        Args:
            images: (N, C, H, W).
            epsilon: ε (N, Z).
            labels: (N,), of a conditional model.
        """
        decoder = cast(HierarchicalDecoder, self.averaged("decoder"))
        inferred = decoder.infer(self.averaged("encoder")(images, *labels), epsilon, *labels)
        return inferred.sample, inferred.kl
