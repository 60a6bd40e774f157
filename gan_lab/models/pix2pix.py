"""pix2pix (Isola et al. 2017): paired image-to-image translation against a discriminator that sees both images."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.bounds import NonNegative
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.translation import TranslationModule
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions


class Pix2Pix(TranslationModule):
    """Phases: discriminator, then generator. The only randomness is dropout, which stays on at test.

    Args:
        generator: source → target.
        discriminator: source and target, concatenated along the channels → logits.
        domains: arguments of ``gan_lab.common.domains.Domain`` for "a" and for "b".
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        l1: weight λ of the distance to the target (eq. 3, 4).
        adversarial: weight of the generator's adversarial loss.
        discriminator_weight: weight of the discriminator's loss, halved "to slow down the rate at which D learns"
            (section 3.3).
        dropout_at_test, batch_statistics_at_test: see ``TranslationModule``.
        engine: options that do not depend on the method.
    """

    shares_graph = "generator"
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
        l1: NonNegative = 100.0,
        adversarial: NonNegative = 1.0,
        discriminator_weight: NonNegative = 0.5,
        dropout_at_test: bool = False,
        batch_statistics_at_test: bool = False,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__(
            {"a2b": generator}, {"discriminator": discriminator}, domains, objective, g_optimizer, d_optimizer,
            dropout_at_test, batch_statistics_at_test, engine,
        )  # fmt: skip
        self.l1, self.adversarial, self.discriminator_weight = l1, adversarial, discriminator_weight

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("discriminator", self.d_losses, stream="critic"),
            Phase("generator", self.g_losses, self.objective.n_critic),
        ]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"fake": self.a2b(batch["source"])}

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        discriminator = partial(self.discriminate, source=batch["source"])
        losses = self.objective.d(discriminator, batch["target"], shared["fake"], noise, self.iteration)
        return losses.scaled(self.discriminator_weight)

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 4."""
        fake, target = shared["fake"], batch["target"]
        adversarial = self.objective.g(partial(self.discriminate, source=batch["source"]), fake, target)
        return Losses({"adversarial": self.adversarial * adversarial, "l1": self.l1 * l1_loss(fake, target)})

    def discriminate(self, target: Tensor, source: Tensor) -> Tensor:
        """Returns logits, float32, given targets (N, C, H, W) and their sources (N, C', H, W)."""
        return self.discriminator(self.discriminator_input(target, source)).float()

    def discriminator_input(self, image: Tensor, source: Tensor) -> Tensor:
        """Returns source and image (N, C' + C, H, W), given images (N, C, H, W) and their sources (N, C', H, W)."""
        return torch.cat([source, image], 1)
