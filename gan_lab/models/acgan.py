"""ACGAN (Odena et al. 2017): a critic that also says of which class a picture is, and a generator that heeds it."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.models.bases.gan import GANModule


class ACGAN(GANModule):
    """The generator is told the class; the critic is not, and learns to tell it.

    Args:
        discriminator: with ``features(images)``, of ``width`` numbers, and ``logits(features)``.
        auxiliary: weight of the classifications in both players' losses (section 3, L_C).
        gan: what ``GANModule`` takes.
    """

    replays = False
    discriminator: Any

    def __init__(self, auxiliary: float = 1.0, **gan: Any) -> None:
        super().__init__(**gan)
        if not self.classes:
            raise UserError("ACGAN learns to tell classes: leave conditional=false away.")
        self.classifier, self.auxiliary = nn.Linear(self.discriminator.width, self.classes), auxiliary

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [*super().trainable(phase), *([self.classifier] if phase == "discriminator" else [])]

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        votes: list[Tensor] = []
        critic = self.critic_and(self.classifier, votes, noise)
        losses = self.objective.d(critic, batch["image"], shared["fake"], noise, self.iteration)
        real, fake = (cross_entropy(vote, batch["label"]) for vote in votes[:2])
        right = (votes[0].argmax(1) == batch["label"]).float().mean()
        return Losses(
            {**losses.terms, "class": self.auxiliary * (real + fake)}, {**losses.logs, "class_accuracy": right}
        )

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        votes: list[Tensor] = []
        critic = self.critic_and(self.classifier, votes, noise)
        adversarial = self.objective.g(critic, shared["fake"], batch["image"])
        return Losses({"adversarial": adversarial, "class": self.auxiliary * cross_entropy(votes[0], batch["label"])})
