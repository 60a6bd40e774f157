"""ACGAN (Odena et al. 2017): a discriminator that also classifies, and a class-conditional generator."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gan_lab.common.bounds import Natural, NonNegative
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.gan import Augmentations, DiscriminatorWithHead, FeatureDiscriminator, GANModule, Wrappers
from gan_lab.models.bases.latents import Prior
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.options import EngineOptions


class ACGAN(GANModule):
    """Class-conditional generator; the discriminator is unconditional with an auxiliary class head.

    Args:
        generator: latents (N, Z) and labels (N,) → images.
        discriminator: has ``features(images)``, of ``width`` numbers, and ``logits(features)``.
        prior, objective, g_optimizer, d_optimizer: see ``GANModule``.
        classes: K.
        auxiliary: weight of the classification loss in both phases (section 3, L_C).
        augment, wrappers, replay_pool, new_batch_for_generator, engine: see ``GANModule``.

    Raises:
        UserError: for a model without classes, and for a replay pool.
    """

    supports_replay = False

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        classes: Natural,
        auxiliary: NonNegative = 1.0,
        augment: Augmentations | None = None,
        wrappers: Wrappers | None = None,
        replay_pool: ImagePool | None = None,
        new_batch_for_generator: bool = False,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__(
            generator, discriminator, prior, objective, g_optimizer, d_optimizer, classes, augment, wrappers,
            replay_pool, new_batch_for_generator, engine,
        )  # fmt: skip
        if not classes:
            raise UserError("ACGAN learns to classify: it needs data with classes, and conditional=true, its default.")
        width = cast(FeatureDiscriminator, self.discriminator).width
        self.classifier, self.auxiliary = nn.Linear(width, classes), auxiliary

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator, self.classifier] if phase == "discriminator" else [self.generator]

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns -L_S and -L_C (section 3)."""
        discriminator = DiscriminatorWithHead(self, self.classifier, noise)
        losses = self.objective.d(discriminator, batch["image"], shared["fake"], noise, self.iteration)
        real, fake = discriminator.outputs[:2]  # penalties may have added further ones
        accuracy = (real.argmax(1) == batch["label"]).float().mean()
        terms = {"class": self.auxiliary * (cross_entropy(real, batch["label"]) + cross_entropy(fake, batch["label"]))}
        return Losses({**losses.terms, **terms}, {**losses.logs, "class_accuracy": accuracy})

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns L_S and -L_C of the generated images."""
        discriminator = DiscriminatorWithHead(self, self.classifier, noise)
        adversarial = self.objective.g(discriminator, shared["fake"], batch["image"])
        classification = cross_entropy(discriminator.outputs[0], batch["label"])
        return Losses({"adversarial": adversarial, "class": self.auxiliary * classification})

    def judge(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Returns the logits of images (N, C, H, W); the discriminator takes no labels (N,)."""
        return super().judge(images)
