"""VAE-GAN (Larsen et al. 2016): an autoencoder whose reconstruction error is measured in discriminator features."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, NonNegative
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared, Stateful
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.autoencoder import Autoencoder, kl_divergence
from gan_lab.models.bases.gan import FeatureDiscriminator
from gan_lab.models.bases.labels import Label
from gan_lab.models.bases.latents import Prior
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions


class VAEGAN(Autoencoder):
    """Phases: encoder, decoder, discriminator (algorithm 1), each with its own forward of the decoder.

    Args:
        encoder: images (N, C, H, W) → means and log-variances (N, 2Z).
        decoder: latents (N, Z) → images in [-1, 1].
        discriminator: has ``features(images)`` and ``logits(features)``.
        prior: distribution of the latents, N(0, I).
        objective: adversarial loss and penalties.
        encoder_optimizer, decoder_optimizer, d_optimizer: functions from parameters to an optimizer.
        beta: weight of the KL divergence.
        gamma: weight γ of the likeness loss relative to the adversarial one, in the decoder's phase (section 3.3).
        classes: K of a conditional model, whose networks take labels (N,) as well; 0 for an unconditional one.
        engine: options that do not depend on the method.
    """

    shares_graph = "encoder"

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        objective: AdversarialObjective,
        encoder_optimizer: MakeOptimizer,
        decoder_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        beta: NonNegative = 1.0,
        gamma: NonNegative = 1e-2,
        classes: Natural = 0,
        engine: EngineOptions | None = None,
    ) -> None:
        optimizers = {"encoder": encoder_optimizer, "decoder": decoder_optimizer, "discriminator": d_optimizer}
        super().__init__(encoder, decoder, prior, optimizers, classes, engine)
        self.discriminator, self.objective, self.beta, self.gamma = discriminator, objective, beta, gamma
        self.objective.check({"discriminator": discriminator})

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("encoder", self.e_losses, self.objective.n_critic),
            Phase("decoder", self.g_losses, self.objective.n_critic),
            Phase("discriminator", self.d_losses, stream="critic"),
        ]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [{"encoder": self.encoder, "decoder": self.decoder, "discriminator": self.discriminator}[phase]]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        images = batch["image"]
        mean, log_variance = self.encoder(images, *self.condition(batch)).float().chunk(2, 1)
        z = mean + (log_variance / 2).exp() * self.prior(noise, len(images))
        prior, encoded = self.prior(noise, len(images)), noise.uniform(len(images), 1) < 0.5
        return {"mean": mean, "log_variance": log_variance, "z": z, "half": torch.where(encoded, z.detach(), prior)}

    def e_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns L_prior and L_llike."""
        kl = kl_divergence(shared["mean"], shared["log_variance"]).sum(1).mean()
        likeness = self._likeness(batch, self.decode_live(batch, shared["z"]))
        return Losses({"likeness": likeness, "kl": self.beta * kl}, {"kl_nats": kl})

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns γ L_llike and -L_GAN; the latter is half of reconstructions and half of samples."""
        likeness = self._likeness(batch, self.decode_live(batch, shared["z"]))
        fake = self.decode_live(batch, shared["half"])
        adversarial = self.objective.g(partial(self.discriminate, batch=batch), fake, batch["image"])
        return Losses({"likeness": self.gamma * likeness, "adversarial": adversarial})

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns L_GAN."""
        with torch.no_grad():
            fake = self.decode_live(batch, shared["half"])
        discriminator = partial(self.discriminate, batch=batch)
        return self.objective.d(discriminator, batch["image"], fake, noise, self.iteration)

    def decode_live(self, batch: Batch, latents: Tensor) -> Tensor:
        """Returns images (N, C, H, W) by the live decoder, given latents (N, Z) and the labels of the batch."""
        images: Tensor = self.decoder(latents, *self.condition(batch))
        return images

    def discriminate(self, images: Tensor, batch: Batch) -> Tensor:
        """Returns logits, float32, given images (N, C, H, W) and the labels of the batch."""
        logits: Tensor = self.discriminator(images, *self.condition(batch))
        return logits.float()

    def _likeness(self, batch: Batch, reconstructed: Tensor) -> Tensor:
        """Returns -log N(D_l(x) | D_l(x̃), I) up to a constant, in nats per image (eq. 7)."""
        discriminator, labels = cast(FeatureDiscriminator, self.discriminator), self.condition(batch)
        real, fake = (discriminator.features(x, *labels).float() for x in (batch["image"], reconstructed))
        return (real - fake).square().flatten(1).sum(1).mean() / 2

    def after_step(self, phase: str) -> None:
        if phase == "discriminator":
            self.objective.project(self.discriminator)

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state()

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.encoder, self.decoder, self.discriminator]

    def discriminator_logits(self, image: Tensor, label: Label = None) -> Tensor:
        """Returns logits, float32 (N, …), given images (N, C, H, W); of class 0 if the label is None."""
        labels = self.labels.expand(label, len(image), self.device)
        with self.inference_mode():
            logits: Tensor = self.discriminator(image.to(self.device), *labels)
            return logits.float()
