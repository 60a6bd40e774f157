"""pix2pix (Isola et al. 2017): pictures from pictures, pair by pair, against a critic that sees both."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import Critic
from gan_lab.models.bases.translation import TranslationModule


class Pix2Pix(TranslationModule):
    """The critic takes its turn first; chance enters by dropout alone, which stays on at test.

    Args:
        generator: source → target.
        discriminator: source and target, one above the other in the channels → logits.
        l1: weight λ of the distance to the target (eq. 3 and 4).
        adversarial: weight of the generator's adversarial term.
        critic: weight of the critic's loss, halved "to slow down the rate at which D learns" (section 3.3).
        translation: what ``TranslationModule`` takes.
    """

    shares_graph = "generator"
    a2b: nn.Module
    discriminator: nn.Module

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        l1: float = 100.0,
        adversarial: float = 1.0,
        critic: float = 0.5,
        **translation: Any,
    ) -> None:
        super().__init__({"a2b": generator}, {"discriminator": discriminator}, **translation)
        self.l1, self.adversarial, self.critic = l1, adversarial, critic

    def phases(self) -> Sequence[Phase]:
        return [Phase("critic", self.d_losses), Phase("generator", self.g_losses, interval=self.n_critic)]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"fake": self.a2b(batch["source"])}

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        losses = self.objective.d(self._knowing(batch), batch["target"], shared["fake"], noise, self.iteration)
        return Losses({name: self.critic * loss for name, loss in losses.terms.items()}, losses.logs)

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        fake, target = shared["fake"], batch["target"]
        adversarial = self.adversarial * self.objective.g(self._knowing(batch), fake, target)
        return Losses({"adversarial": adversarial, "l1": self.l1 * l1_loss(fake, target)})

    def discriminator_input(self, image: Tensor, source: Tensor) -> Tensor:
        return torch.cat([source, image], 1)

    def _knowing(self, batch: Batch) -> Critic:
        """The critic who knows the source."""

        def critic(target: Tensor) -> Tensor:
            logits: Tensor = self.discriminator(self.discriminator_input(target, batch["source"]))
            return logits.float()

        return critic
