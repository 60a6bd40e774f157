"""A hierarchical variational autoencoder, after NVAE (Vahdat and Kautz 2020) and the very deep VAE (Child 2021)."""

from typing import Any

from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.models.bases.latents import Normal, draw_per_sample
from gan_lab.models.vae import VAE, PosteriorSample


class HVAE(VAE):
    """Latents in groups from coarse to fine, each of whose priors knows those above it.

    What is called latents are the standard normal numbers ε that priors make theirs of: z = μ(z above) + σ(z above) ε.

    Args:
        encoder: images → maps at each scale.
        decoder: ε (N, Z) → what the likelihood is given, with ``infer(seen, epsilon)``.
        prior: no other than as many standard normal numbers as the decoder takes.
        vae: what ``VAE`` takes.
    """

    def __init__(self, encoder: Any, decoder: Any, *, prior: None = None, **vae: Any) -> None:
        if not hasattr(decoder, "infer"):
            raise UserError("A hierarchy of latents needs a decoder that infers them: leave coder= away.")
        if prior is not None:
            raise UserError("A hierarchy of latents has priors of its own: leave model.prior away.")
        super().__init__(encoder, decoder, prior=Normal(decoder.latent), **vae)

    def modules_to_compile(self) -> list[nn.Module]:
        """Not the decoder, whose way down with a posterior is no forward that could be compiled in its place."""
        return [self.encoder]

    def posterior_sample(self, decoder: Any, encoded: Any, epsilon: Tensor, *labels: Tensor) -> PosteriorSample:
        """In one pass down, each group's posterior beside its prior (NVAE, section 2 and eq. 3)."""
        found = decoder.infer(encoded, epsilon, *labels)
        return PosteriorSample(found.output, found.kl, found.log_ratio.sum(1))

    def infer(
        self, image: Tensor, label: int | Tensor | None = None, seed: int = 0, start: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Means where all latents are at theirs; divergences where those above are drawn."""
        mean, _ = super().infer(image, label)
        epsilon = draw_per_sample(lambda noise: self.prior(noise, 1), len(image), seed, start, "infer").to(self.device)
        with self.inference_mode():
            labels = self.expand_labels(label, len(image))
            return mean, self.posterior(image.to(self.device), epsilon, *labels)[1]

    def encode(self, image: Tensor, label: int | Tensor | None = None) -> Tensor:
        return super().infer(image, label)[0]

    def posterior(self, images: Tensor, epsilon: Tensor, *labels: Tensor) -> tuple[Tensor, Tensor]:
        """Each group's divergence is taken where those above are drawn."""
        decoder: Any = self.averaged("decoder")
        found = decoder.infer(self.averaged("encoder")(images, *labels), epsilon, *labels)
        return found.sample, found.kl
