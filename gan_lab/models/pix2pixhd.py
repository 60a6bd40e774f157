"""pix2pixHD (Wang et al. 2018): large images of label maps, by a global generator and then an enhancer of its maps."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from gan_lab.common.bounds import Probability
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, RandomStream, Shared
from gan_lab.models.bases.matching import MatchingTranslation
from gan_lab.networks.patchgan import halved
from gan_lab.networks.pix2pixhd import COARSE, FIXED, WHOLE, Generator


class Pix2PixHD(MatchingTranslation):
    """Trains the global generator on images of half the size, then the enhancer alone, then both (section 3.1).

    While images are small, the finest discriminator has none to judge.

    Args:
        generator: a ``gan_lab.networks.pix2pixhd.Generator``.
        enhance_begin: share of the budget after which the enhancer is trained.
        fixed: share of the budget for which the global generator is fixed from then on.
        arguments: see ``MatchingTranslation``.

    Raises:
        UserError: for another generator.
    """

    a2b: Generator
    sums_scales = True

    def __init__(
        self,
        generator: nn.Module,
        *arguments: Any,
        enhance_begin: Probability = 0.66,
        fixed: Probability = 0.03,
        **more: Any,
    ) -> None:
        if not isinstance(generator, Generator):
            raise UserError("pix2pixHD's two stages are those of its generator: give generator=pix2pixhd.")
        super().__init__(generator, *arguments, **more)
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
