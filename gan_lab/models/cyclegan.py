"""CycleGAN (Zhu et al. 2017): two generators that invert each other, from unpaired images."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.bounds import Natural, NonNegative
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared, Stateful
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.translation import TranslationModule
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.augment import Augmentation
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.options import EngineOptions


class CycleGAN(TranslationModule):
    """Phases: generators, then discriminators, which see fakes from an image pool.

    Args:
        a2b, b2a: generators.
        discriminator_a, discriminator_b: discriminators of the images of each domain.
        domains: arguments of ``gan_lab.common.domains.Domain`` for "a" and for "b".
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        cycle: weight λ of a → b → a, and of b → a → b, in L1 (eq. 2).
        identity: weight, relative to ``cycle``, of the identity loss on images of the target domain (section 5.2).
        adversarial: weight of the generators' adversarial losses.
        discriminator_weight: weight of the discriminators' losses.
        pool: number of fakes kept for each discriminator.
        dropout_at_test, batch_statistics_at_test: see ``TranslationModule``.
        engine: options that do not depend on the method.
        augment: see ``TranslationModule``.

    Raises:
        UserError: for an identity loss between domains that differ.
    """

    shares_graph = "generator"
    a2b: nn.Module
    b2a: nn.Module

    def __init__(
        self,
        a2b: nn.Module,
        b2a: nn.Module,
        discriminator_a: nn.Module,
        discriminator_b: nn.Module,
        domains: Mapping[str, Mapping[str, Any]],
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        cycle: NonNegative = 10.0,
        identity: NonNegative = 0.5,
        adversarial: NonNegative = 1.0,
        discriminator_weight: NonNegative = 1.0,
        pool: Natural = 50,
        dropout_at_test: bool = False,
        batch_statistics_at_test: bool = False,
        engine: EngineOptions | None = None,
        augment: Mapping[str, Augmentation | None] | None = None,
    ) -> None:
        super().__init__(
            {"a2b": a2b, "b2a": b2a}, {"discriminator_a": discriminator_a, "discriminator_b": discriminator_b},
            domains, objective, g_optimizer, d_optimizer, dropout_at_test, batch_statistics_at_test, engine, augment,
        )  # fmt: skip
        if identity and self.domains["a"] != self.domains["b"]:
            raise UserError(
                "The identity loss gives each generator images of its target domain, but the two domains differ in "
                "channels or labels: give model.identity=0."
            )
        self.cycle, self.identity, self.adversarial = cycle, identity, adversarial
        self.discriminator_weight = discriminator_weight
        self.pools = {"a": ImagePool(pool), "b": ImagePool(pool)}

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("generator", self.g_losses, self.objective.n_critic),
            Phase("discriminator", self.d_losses, stream="critic"),
        ]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"a": self.b2a(batch["b"]), "b": self.a2b(batch["a"])}

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 3, and the identity losses."""
        a, b, fake_a, fake_b = batch["a"], batch["b"], shared["a"], shared["b"]
        see_a, see_b = (self.augmented(partial(self.discriminate, side=side), noise) for side in ("a", "b"))
        terms = {
            "adversarial_a": self.adversarial * self.objective.g(see_a, fake_a, a),
            "adversarial_b": self.adversarial * self.objective.g(see_b, fake_b, b),
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
            fake = pool.query(shared[side], noise)
            discriminator = self.augmented(partial(self.discriminate, side=side), noise)
            losses[side] = self.objective.d(discriminator, batch[side], fake, noise, self.iteration)
        return Losses.joined(losses).scaled(self.discriminator_weight)

    def discriminate(self, images: Tensor, side: str) -> Tensor:
        """Returns the logits, float32, of the discriminator of domain ``side``, given images (N, C, H, W)."""
        logits: Tensor = getattr(self, f"discriminator_{side}")(images)
        return logits.float()

    def extra_state(self) -> Mapping[str, Stateful]:
        return {**super().extra_state(), **{f"pool_{side}": pool for side, pool in self.pools.items()}}
