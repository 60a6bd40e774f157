"""VAE-GAN (Larsen et al. 2016): an autoencoder whose pictures are compared by what a critic sees in them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import AdversarialLoss, AdversarialObjective, Penalty
from gan_lab.models.bases.autoencoder import Autoencoder, divergence
from gan_lab.training.alternating import MakeOptimizer, Stateful


class VAEGAN(Autoencoder):
    """Encoder, decoder and critic take their turns in this order (algorithm 1), each with a forward of its own.

    Args:
        encoder: images → means and logarithms of variances (N, 2Z).
        decoder: latents (N, Z) → images in [-1, 1].
        discriminator: with ``features(images)`` and ``logits(features)``.
        loss, penalties: the adversarial objective.
        encoder_optimizer, decoder_optimizer, d_optimizer: parameters → optimizer.
        beta: weight of the KL divergence.
        gamma: weight γ of likeness against the adversarial term in the decoder's turn (section 3.3).
        project: applied to the discriminator after each of its steps.
        n_critic: the critic's turns for each of the others'.
        autoencoder: what ``Autoencoder`` takes.
    """

    shares_graph = "encoder"

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        loss: AdversarialLoss,
        encoder_optimizer: MakeOptimizer,
        decoder_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        penalties: Mapping[str, Penalty | None] | None = None,
        beta: float = 1.0,
        gamma: float = 1e-2,
        project: Callable[[nn.Module], None] | None = None,
        n_critic: int = 1,
        **autoencoder: Any,
    ) -> None:
        optimizers = {"encoder": encoder_optimizer, "decoder": decoder_optimizer, "critic": d_optimizer}
        super().__init__(encoder, decoder, optimizers=optimizers, **autoencoder)
        self.discriminator: Any = discriminator
        self.objective = AdversarialObjective(loss, penalties, {"discriminator": discriminator})
        self.beta, self.gamma, self.project, self.n_critic = beta, gamma, project, n_critic

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("encoder", self.e_losses, self.n_critic),
            Phase("decoder", self.g_losses, self.n_critic),
            Phase("critic", self.d_losses),
        ]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [{"encoder": self.encoder, "decoder": self.decoder, "critic": self.discriminator}[phase]]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        images = batch["image"]
        mean, log_variance = self.encoder(images, *self.condition(batch)).float().chunk(2, 1)
        z = mean + (log_variance / 2).exp() * self.prior(noise, len(images))
        prior, chosen = self.prior(noise, len(images)), noise.uniform(len(images), 1) < 0.5
        return {"mean": mean, "log_variance": log_variance, "z": z, "half": torch.where(chosen, z.detach(), prior)}

    def e_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """L_prior + L_llike."""
        kl = divergence(shared["mean"], shared["log_variance"]).sum(1).mean()
        unlike = self._unlike(batch, self.decoder(shared["z"], *self.condition(batch)))
        return Losses({"likeness": unlike, "kl": self.beta * kl}, {"kl_nats": kl})

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """γ L_llike - L_GAN, the latter of reconstructions and of samples, half and half."""
        unlike = self._unlike(batch, self.decoder(shared["z"], *self.condition(batch)))
        fake = self.decoder(shared["half"], *self.condition(batch))
        adversarial = self.objective.g(self._critic(batch), fake, batch["image"])
        return Losses({"likeness": self.gamma * unlike, "adversarial": adversarial})

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        with torch.no_grad():
            fake = self.decoder(shared["half"], *self.condition(batch))
        return self.objective.d(self._critic(batch), batch["image"], fake, noise, self.iteration)

    def _unlike(self, batch: Batch, made: Tensor) -> Tensor:
        """-log N(D_l(x) | D_l(x̃), I) but for a constant, in nats a picture (eq. 7)."""
        real, found = (self.discriminator.features(x, *self.condition(batch)).float() for x in (batch["image"], made))
        return (real - found).square().flatten(1).sum(1).mean() / 2

    def _critic(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        return lambda images: self.discriminator(images, *self.condition(batch)).float()

    def after_step(self, phase: str) -> None:
        if phase == "critic" and self.project is not None:
            self.project(self.discriminator)

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state()

    def modules_to_compile(self) -> list[nn.Module]:
        critic = [] if self.objective.differentiates_twice else [self.discriminator]
        return [self.encoder, self.decoder, *critic]
