"""VQGAN (Esser, Rombach and Ommer 2021): a codebook learned with a perceptual and an adversarial loss."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.bounds import Natural, NonNegative, PositiveInt, Probability
from gan_lab.common.distributed import all_reduce_mean
from gan_lab.common.errors import UserError
from gan_lab.common.fixed_network import FixedNetwork
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared, Stateful
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.labels import Label
from gan_lab.models.vqvae import VQVAE
from gan_lab.networks.quantizer import Quantizer
from gan_lab.networks.vqvae import Decoder
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions


class VQGAN(VQVAE):
    """Phases: the autoencoder; the prior, here a PixelCNN; a patch discriminator, which begins late.

    Args:
        encoder, decoder, quantizer, prior, size, optimizer, prior_optimizer, commitment, prior_begin, classes, engine:
            see ``VQVAE``.
        discriminator: images (N, C, H, W) → logits (N, 1, h', w').
        objective: adversarial loss and penalties, with n_critic = 1.
        d_optimizer: function from parameters to an optimizer.
        perceptual: function that returns a distance of images, (a, b) → (N,); called once, when training begins.
        perceptual_weight: weight of that distance relative to L1.
        adversarial: weight of the adversarial loss, times the adaptive one (section 3.1, λ).
        discriminator_begin: share of the budget after which the discriminator is trained and used.

    Raises:
        UserError: for another n_critic, and for a discriminator that does not begin before the prior.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        quantizer: Quantizer,
        prior: nn.Module,
        size: Sequence[PositiveInt],
        optimizer: MakeOptimizer,
        prior_optimizer: MakeOptimizer,
        discriminator: nn.Module,
        objective: AdversarialObjective,
        d_optimizer: MakeOptimizer,
        perceptual: Callable[[], nn.Module],
        commitment: NonNegative = 0.25,
        prior_begin: Probability = 0.5,
        perceptual_weight: NonNegative = 1.0,
        adversarial: NonNegative = 0.8,
        discriminator_begin: Probability = 0.15,
        classes: Natural = 0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__(
            encoder, decoder, quantizer, prior, size, optimizer, prior_optimizer, commitment, prior_begin, classes,
            {"discriminator": d_optimizer}, engine,
        )  # fmt: skip
        if objective.n_critic != 1:
            raise UserError("VQGAN's discriminator takes one step for each of the autoencoder's: give loss.n_critic=1.")
        if not 0 <= discriminator_begin < prior_begin:
            raise UserError(f"discriminator_begin={discriminator_begin} is not valid: give a share below prior_begin.")
        self.discriminator, self.objective = discriminator, objective
        self.objective.check({"discriminator": discriminator})
        self.perceptual_loss, self.perceptual_weight = FixedNetwork(perceptual), perceptual_weight
        self.adversarial, self.discriminator_begin = adversarial, discriminator_begin

    def phases(self) -> Sequence[Phase]:
        begin, end = self.discriminator_begin, self.prior_begin
        return [*super().phases(), Phase("discriminator", self.d_losses, begin=begin, end=end, stream="critic")]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator] if phase == "discriminator" else super().trainable(phase)

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of VQ-VAE and, once the discriminator has begun, the adversarial one (eq. 6)."""
        losses = super().losses(batch, shared, noise)
        if self.progress < self.discriminator_begin:
            return losses
        adversarial = self.objective.g(self.discriminate, shared["reconstructed"], batch["image"])
        weight = self._adaptive_weight(losses.terms["reconstruction"] + losses.terms["perceptual"], adversarial)
        terms = {**losses.terms, "adversarial": self.adversarial * weight * adversarial}
        return Losses(terms, {**losses.logs, "adaptive_weight": weight})

    def reconstruction_losses(self, images: Tensor, reconstructed: Tensor) -> dict[str, Tensor]:
        """Returns L1 and the perceptual loss of reconstructions (N, C, H, W) of images (N, C, H, W)."""
        perceptual = self.perceptual_loss(images, reconstructed.float()).mean()
        l1 = l1_loss(reconstructed.float(), images)
        return {"reconstruction": l1, "perceptual": self.perceptual_weight * perceptual}

    def _adaptive_weight(self, reconstruction: Tensor, adversarial: Tensor) -> Tensor:
        """Returns the ratio of the two losses' gradient norms at the decoder's last layer, a scalar (eq. 7)."""
        weight = cast(Decoder, self.decoder).last.weight
        norms = [
            all_reduce_mean(torch.autograd.grad(loss, weight, retain_graph=True)[0]).norm()
            for loss in (reconstruction, adversarial)
        ]
        return (norms[0] / (norms[1] + 1e-4)).clamp(0, 1e4).detach()

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        return self.objective.d(self.discriminate, batch["image"], shared["reconstructed"], noise, self.iteration)

    def discriminate(self, images: Tensor) -> Tensor:
        """Returns logits, float32, given images (N, C, H, W)."""
        logits: Tensor = self.discriminator(images)
        return logits.float()

    def after_step(self, phase: str) -> None:
        if phase == "discriminator":
            self.objective.project(self.discriminator)

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state()

    def modules_to_compile(self) -> Sequence[nn.Module]:
        """Returns encoder and prior; the adaptive weight and the step both go back through the decoder and the
        discriminator, and a compiled graph allows that only once.
        """
        return [self.encoder, self.prior]

    def discriminator_logits(self, image: Tensor, label: Label = None) -> Tensor:
        """Returns logits, float32 (N, 1, h', w'), of images (N, C, H, W); the discriminator takes no labels."""
        with self.inference_mode():
            return self.discriminate(image.to(self.device))
