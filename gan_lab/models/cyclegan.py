"""CycleGAN (Zhu et al. 2017): two generators that undo each other, each against a critic, from unpaired pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.functional import l1_loss

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import Critic
from gan_lab.models.bases.translation import TranslationModule
from gan_lab.training.alternating import Stateful
from gan_lab.training.image_pool import ImagePool


class CycleGAN(TranslationModule):
    """The generators take their turn together, first; then both critics, who look into a history of fakes.

    Args:
        a2b, b2a: generators.
        critic_a, critic_b: discriminators of the pictures of each domain.
        cycle: weight λ of a → b → a, and of b → a → b, in L1 (eq. 2).
        identity: weight, relative to ``cycle``, of leaving alone what is in the target domain already (section 5.2).
        adversarial: weight of the generators' adversarial terms.
        critic: weight of the critics' losses.
        pool: fakes kept for each critic.
        translation: what ``TranslationModule`` takes.

    Raises:
        UserError: for an identity term between domains that are not alike.
    """

    shares_graph = "generator"
    a2b: nn.Module
    b2a: nn.Module

    def __init__(
        self,
        a2b: nn.Module,
        b2a: nn.Module,
        critic_a: nn.Module,
        critic_b: nn.Module,
        cycle: float = 10.0,
        identity: float = 0.5,
        adversarial: float = 1.0,
        critic: float = 1.0,
        pool: int = 50,
        **translation: Any,
    ) -> None:
        critics = {"critic_a": critic_a, "critic_b": critic_b}
        super().__init__({"a2b": a2b, "b2a": b2a}, critics, **translation)
        if identity and self.domains["a"] != self.domains["b"]:
            raise UserError(
                "The identity term shows each generator pictures of its target domain, but the two domains differ in "
                "channels or labels: give model.identity=0."
            )
        self.cycle, self.identity, self.adversarial, self.critic = cycle, identity, adversarial, critic
        self.pools = {"a": ImagePool(pool), "b": ImagePool(pool)}

    def phases(self) -> Sequence[Phase]:
        return [Phase("generator", self.g_losses, interval=self.n_critic), Phase("critic", self.d_losses)]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"a": self.b2a(batch["b"]), "b": self.a2b(batch["a"])}

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        a, b, fake_a, fake_b = batch["a"], batch["b"], shared["a"], shared["b"]
        terms = {
            "adversarial_a": self.adversarial * self.objective.g(self._critic("a"), fake_a, a),
            "adversarial_b": self.adversarial * self.objective.g(self._critic("b"), fake_b, b),
            "cycle_a": self.cycle * l1_loss(self.b2a(fake_b), a),
            "cycle_b": self.cycle * l1_loss(self.a2b(fake_a), b),
        }
        if self.identity:
            terms["identity_a"] = self.cycle * self.identity * l1_loss(self.b2a(a), a)
            terms["identity_b"] = self.cycle * self.identity * l1_loss(self.a2b(b), b)
        return Losses(terms)

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        losses = {}
        for side, pool in self.pools.items():
            shown = pool.query(shared[side], noise)
            losses[side] = self.objective.d(self._critic(side), batch[side], shown, noise, self.iteration)
        terms = {f"{name}_{side}": self.critic * loss for side in losses for name, loss in losses[side].terms.items()}
        return Losses(terms, {f"{name}_{side}": log for side in losses for name, log in losses[side].logs.items()})

    def _critic(self, side: str) -> Critic:
        network = getattr(self, f"critic_{side}")
        return lambda images: network(images).float()

    def extra_state(self) -> Mapping[str, Stateful]:
        return {f"pool_{side}": pool for side, pool in self.pools.items()}
