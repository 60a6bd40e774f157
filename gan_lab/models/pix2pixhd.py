"""pix2pixHD (Wang et al. 2018): large images of label maps, by a global generator and then an enhancer of its maps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from gan_lab.common.bounds import NonNegative, Probability
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.matching import MatchingTranslation
from gan_lab.networks.patchgan import halved
from gan_lab.networks.pix2pixhd import COARSE, FIXED, WHOLE, Generator
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions


class Pix2PixHD(MatchingTranslation):
    """Trains the global generator on images of half the size, then the enhancer alone, then both (section 3.1).

    While images are small, the finest discriminator has none to judge.

    Args:
        generator: a ``gan_lab.networks.pix2pixhd.Generator``.
        enhance_begin: share of the budget after which the enhancer is trained.
        fixed: share of the budget for which the global generator is fixed from then on.
        discriminator, domains, objective, g_optimizer, d_optimizer, adversarial, discriminator_weight,
            feature_matching, features, perceptual, feature_weights, dropout_at_test, batch_statistics_at_test,
            engine: see ``MatchingTranslation``.

    Raises:
        UserError: for another generator.
    """

    a2b: Generator
    sums_scales = True

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        domains: Mapping[str, Mapping[str, Any]],
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        enhance_begin: Probability = 0.66,
        fixed: Probability = 0.03,
        adversarial: NonNegative = 1.0,
        discriminator_weight: NonNegative = 1.0,
        feature_matching: NonNegative = 10.0,
        features: Callable[[], nn.Module] | None = None,
        perceptual: NonNegative = 10.0,
        feature_weights: Sequence[NonNegative] | None = None,
        dropout_at_test: bool = False,
        batch_statistics_at_test: bool = False,
        engine: EngineOptions | None = None,
    ) -> None:
        if not isinstance(generator, Generator):
            raise UserError("pix2pixHD's two stages are those of its generator: give generator=pix2pixhd.")
        super().__init__(
            generator, discriminator, domains, objective, g_optimizer, d_optimizer, adversarial, discriminator_weight,
            feature_matching, features, perceptual, feature_weights, dropout_at_test, batch_statistics_at_test, engine,
        )  # fmt: skip
        self.enhance_begin, self.fixed = enhance_begin, fixed
        self.stage = COARSE if generator.enhancer is not None else WHOLE

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        source, target = batch["source"], batch["target"]
        features = None
        if self.a2b.features:
            features = self.a2b.encode(source, target, batch.get("instances"), self.stage != FIXED)
        if self.stage != COARSE:
            return {"fake": self.a2b(source, features, self.stage), "source": source, "target": target}
        fake = self.a2b.coarse(halved(self.a2b.with_features(source, features)))
        return {"fake": fake, "source": halved(source), "target": halved(target)}

    def scales(self) -> Sequence[int]:
        every = super().scales()
        return every[1:] if self.stage == COARSE and len(every) > 1 else every

    def on_train_start(self) -> None:
        """Goes on from the stage that a checkpoint has.

        Raises:
            UserError: without a budget, of which the stages are shares.
        """
        super().on_train_start()
        if self.budget is None and self.a2b.enhancer is not None:
            raise UserError("The enhancer begins at a share of the budget: give the model a budget.")
        self.stage = int(self.a2b.stage)

    def prepare(self, batch: Batch) -> Batch:
        """Moves to the stage of the share of the budget that is used; a run with a larger budget does not go back."""
        begins = self.enhance_begin, self.enhance_begin + self.fixed
        stage = max(self.stage, sum(self.progress >= begin for begin in begins))
        if stage != self.stage:
            self.stage = stage
            self.a2b.stage.fill_(stage)
        return batch
