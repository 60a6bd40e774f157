"""pix2pix (Isola et al. 2017): pictures from pictures, pair by pair, against a critic that sees both."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.types import Batch, Drawn, Noise, Phase, Terms
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
        return [Phase("critic", self.d_terms), Phase("generator", self.g_terms, every=self.n_critic)]

    def draw(self, batch: Batch, noise: Noise) -> Drawn:
        return {"fake": self.a2b(batch["source"])}

    def d_terms(self, batch: Batch, drawn: Drawn, noise: Noise) -> Terms:
        terms = self.adversary.d(self._knowing(batch), batch["target"], drawn["fake"], noise, self.iteration)
        return Terms({name: self.critic * loss for name, loss in terms.losses.items()}, terms.logs)

    def g_terms(self, batch: Batch, drawn: Drawn, noise: Noise) -> Terms:
        fake, target = drawn["fake"], batch["target"]
        adversarial = self.adversarial * self.adversary.g(self._knowing(batch), fake, target)
        return Terms({"adversarial": adversarial, "l1": self.l1 * l1_loss(fake, target)})

    def shown(self, image: Tensor, source: Tensor) -> Tensor:
        return torch.cat([source, image], 1)

    def _knowing(self, batch: Batch) -> Critic:
        """The critic who knows the source."""

        def critic(target: Tensor) -> Tensor:
            logits: Tensor = self.discriminator(self.shown(target, batch["source"]))
            return logits.float()

        return critic
