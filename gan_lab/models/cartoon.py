"""CartoonGAN (Chen, Lai and Liu 2018): photographs become cartoons, learnt from unpaired images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import NonNegative, Probability
from gan_lab.common.constraints import check_colour
from gan_lab.common.fixed_network import FixedNetwork
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.edges import with_smooth_edges
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.translation import TranslationModule
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.augment import Augmentation
from gan_lab.training.options import EngineOptions


class CartoonGAN(TranslationModule):
    """Photographs "a" become cartoons "b". Cartoons with smooth edges are no cartoons to the discriminator.

    Phases: discriminator, then generator. At first the generator learns to keep the content alone.

    Args:
        generator: a → b.
        discriminator: discriminator of images of b.
        domains: arguments of ``gan_lab.common.domains.Domain`` for "a" and for "b".
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        features: function that returns the network that describes content, images → maps of several layers; called
            once, when training begins.
        content: weight ω of the content loss (eq. 4): the mean absolute difference of the last layer's maps, here
            relative to their mean absolute value, so that it does not depend on the network.
        discriminator_begin: share of the budget for the content alone (section 3.3).
        dropout_at_test, batch_statistics_at_test: see ``TranslationModule``.
        engine: options that do not depend on the method.
        augment: see ``TranslationModule``.
    """

    shares_graph = "generator"
    check_data = staticmethod(check_colour)
    a2b: nn.Module
    discriminator: nn.Module

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        domains: Mapping[str, Mapping[str, Any]],
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        features: Callable[[], nn.Module],
        content: NonNegative = 10.0,
        discriminator_begin: Probability = 0.1,
        dropout_at_test: bool = False,
        batch_statistics_at_test: bool = False,
        engine: EngineOptions | None = None,
        augment: Mapping[str, Augmentation | None] | None = None,
    ) -> None:
        super().__init__(
            {"a2b": generator}, {"discriminator": discriminator}, domains, objective, g_optimizer, d_optimizer,
            dropout_at_test, batch_statistics_at_test, engine, augment,
        )  # fmt: skip
        self.features, self.content, self.discriminator_begin = FixedNetwork(features), content, discriminator_begin

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("discriminator", self.d_losses, begin=self.discriminator_begin),
            Phase("generator", self.g_losses, self.objective.n_critic),
        ]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"fake": self.a2b(batch["a"])}

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 3; generated images and smooth cartoons here share the weight of cartoons."""
        real, smooth = batch["b"], with_smooth_edges(batch["b"])
        fakes = torch.cat([shared["fake"].to(smooth.dtype), smooth])
        discriminator = self.augmented(self.discriminate, noise)
        return self.objective.d(discriminator, torch.cat([real, real]), fakes, noise, self.iteration)

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        fake = shared["fake"]
        with torch.no_grad():
            wanted = self._last_maps(batch["a"])
        difference, scale = (maps.abs().flatten(1).mean(1) for maps in (self._last_maps(fake) - wanted, wanted))
        terms = {"content": self.content * (difference / scale.clamp(min=1e-6)).mean()}
        if self.progress >= self.discriminator_begin:
            terms["adversarial"] = self.objective.g(self.augmented(self.discriminate, noise), fake, batch["b"])
        return Losses(terms)

    def _last_maps(self, images: Tensor) -> Tensor:
        maps: Sequence[Tensor] = self.features(images)
        return maps[-1].float()

    def discriminate(self, images: Tensor) -> Tensor:
        """Returns logits, float32, given images (N, C, H, W)."""
        logits: Tensor = self.discriminator(images)
        return logits.float()
