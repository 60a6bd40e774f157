"""VQGAN (Esser, Rombach and Ommer 2021): a codebook whose pictures are judged by a perceptual distance and a critic."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.distributed import all_reduce_mean
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import AdversarialLoss, AdversarialObjective, Penalty
from gan_lab.models.vqvae import VQVAE
from gan_lab.training.alternating import MakeOptimizer, Stateful


class VQGAN(VQVAE):
    """Three phases: the autoencoder; a critic of patches, which begins late; the prior, here a PixelCNN.

    Args:
        discriminator: images → logits (N, 1, h', w').
        loss, penalties: the adversarial objective.
        d_optimizer: parameters → optimizer.
        perceptual: makes a distance of images, (a, b) → (N,); called once, when training begins.
        perception: weight of that distance beside L1.
        adversarial: the critic's weight in the autoencoder's turn, times the adaptive one (section 3.1, λ).
        critic_begin: the share of the budget after which there is a critic.
        project: applied to the discriminator after each of its steps.
        n_critic: of the loss; no other than 1.
        vqvae: what ``VQVAE`` takes.

    Raises:
        UserError: for a loss with more critic steps, and a critic that would begin with the prior or after it.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        loss: AdversarialLoss,
        d_optimizer: MakeOptimizer,
        perceptual: Callable[[], nn.Module],
        penalties: dict[str, Penalty | None] | None = None,
        perception: float = 1.0,
        adversarial: float = 0.8,
        critic_begin: float = 0.15,
        project: Callable[[nn.Module], None] | None = None,
        n_critic: int = 1,
        **vqvae: Any,
    ) -> None:
        super().__init__(optimizers={"critic": d_optimizer}, **vqvae)
        if n_critic != 1:
            raise UserError("VQGAN's critic takes one step for each of the autoencoder's: give loss.n_critic=1.")
        if not 0 <= critic_begin < self.prior_begin:
            raise UserError(f"critic_begin={critic_begin} does not serve: give a share below prior_begin.")
        self.discriminator, self.project = discriminator, project
        self.objective = AdversarialObjective(loss, penalties, {"discriminator": discriminator})
        self.perceptual, self.perception = perceptual, perception
        self.eyes: list[nn.Module] = []  # no part of the model: fixed, and made anew from its own file
        self.adversarial, self.critic_begin = adversarial, critic_begin

    def phases(self) -> Sequence[Phase]:
        autoencoder, prior = super().phases()
        critic = Phase("critic", self.d_losses, begin=self.critic_begin, end=self.prior_begin)
        return [autoencoder, prior, critic]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator] if phase == "critic" else super().trainable(phase)

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        losses = super().losses(batch, shared, noise)
        if self.progress < self.critic_begin:
            return losses
        adversarial = self.objective.g(self._critic, shared["made"], batch["image"])
        weight = self._adaptive(losses.terms["reconstruction"] + losses.terms["perception"], adversarial)
        terms = {**losses.terms, "adversarial": self.adversarial * weight * adversarial}
        return Losses(terms, {**losses.logs, "adaptive_weight": weight})

    def unlike(self, images: Tensor, made: Tensor) -> dict[str, Tensor]:
        if not self.eyes:
            self.eyes.append(self.perceptual().to(images.device))
        with torch.autocast(images.device.type, enabled=False):
            seen = self.eyes[0](images, made.float()).mean()
        return {"reconstruction": l1_loss(made.float(), images), "perception": self.perception * seen}

    def _adaptive(self, reconstruction: Tensor, adversarial: Tensor) -> Tensor:
        """How many times stronger the one pulls at the decoder's last layer than the other does (eq. 7)."""
        decoder: Any = self.decoder
        pulls = [
            all_reduce_mean(torch.autograd.grad(loss, decoder.last.weight, retain_graph=True)[0]).norm()
            for loss in (reconstruction, adversarial)
        ]
        return (pulls[0] / (pulls[1] + 1e-4)).clamp(0, 1e4).detach()

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        return self.objective.d(self._critic, batch["image"], shared["made"], noise, self.iteration)

    def _critic(self, images: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(images)
        return logits.float()

    def after_step(self, phase: str) -> None:
        if phase == "critic" and self.project is not None:
            self.project(self.discriminator)

    def extra_state(self) -> dict[str, Stateful]:
        return self.objective.extra_state()

    def modules_to_compile(self) -> Sequence[nn.Module]:
        """Not what the adaptive weight goes back through before the step does: a compiled graph serves once."""
        return [self.encoder, self.prior]
