"""Progressive growing (Karras et al. 2018): both networks begin with small images, and finer layers fade in."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, RandomStream, Shared, Stateful
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.gan import Augmentations, GANModule, Wrappers
from gan_lab.models.bases.latents import Prior
from gan_lab.networks.progressive import Discriminator, Generator, doubled, halved
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.growth import Growth
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.options import EngineOptions
from gan_lab.training.turns import Outputs


class Progressive(GANModule):
    """A GAN that grows. Real and generated images have the sides of the present level; samples are enlarged to the
    whole size.

    Args:
        generator, discriminator: those of ``gan_lab.networks.progressive``.
        prior, objective, g_optimizer, d_optimizer: see ``GANModule``.
        growth: level as a function of the images seen, or of the budget that is used.
        batch_sizes: images of an iteration, over all ranks, by the shorter side from which on they are fewer than those
            of a batch; divisors of it (appendix A.1: 16 up to 128 px, then 14, 6 and 3).
        classes: 0.
        augment, wrappers, new_batch_for_generator, engine: see ``GANModule``.
        replay_pool: None.

    Raises:
        UserError: for other networks, for a model with classes, and for a replay pool.
    """

    level: Tensor

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        growth: Growth,
        batch_sizes: Mapping[str, PositiveInt] | None = None,
        classes: Natural = 0,
        augment: Augmentations | None = None,
        wrappers: Wrappers | None = None,
        replay_pool: ImagePool | None = None,
        new_batch_for_generator: bool = False,
        engine: EngineOptions | None = None,
    ) -> None:
        if not isinstance(generator, Generator) or not isinstance(discriminator, Discriminator):
            raise UserError("Progressive growing has networks of its own: leave network= out.")
        if classes:
            raise UserError("Progressive growing has no labels here: leave conditional=true out.")
        if replay_pool is not None:
            raise UserError("A replay pool keeps fakes of one size, and these grow: leave remedy=replay out.")
        super().__init__(
            generator, discriminator, prior, objective, g_optimizer, d_optimizer, 0, augment, wrappers, None,
            new_batch_for_generator, engine,
        )  # fmt: skip
        if engine is not None and engine.compile:
            raise UserError("Growing networks change from level to level: leave compile=true out.")
        self.growth, self.size, self.top = growth, generator.size, generator.top
        self.register_buffer("level", torch.zeros((), dtype=torch.float64))  # weights files keep no other state
        self.batch_sizes = sorted((int(side), size) for side, size in (batch_sizes or {}).items())

    def prepare(self, batch: Batch) -> Batch:
        """Returns the images that the level trains on, at its sides; while it fades in, blended with coarser ones."""
        times = self.top - math.ceil(self.growth.level)
        return {"image": self._reduced(batch["image"][:: self._stride(len(batch["image"]), min(self.size) >> times)])}

    def _reduced(self, images: Tensor) -> Tensor:
        """Returns images (N, C, H, W) at the sides of the level."""
        times, share = self.top - math.ceil(self.growth.level), self.growth.level % 1
        images = halved(images, times)
        return doubled(halved(images)).lerp(images, share) if share else images

    def _stride(self, n: int, side: int) -> int:
        """Returns k if the iteration trains on each k-th of n images; the same ones on any number of ranks."""
        whole = n * self.num_ranks // self.batches_per_iteration
        sizes = [(begin, size) for begin, size in self.batch_sizes if size < whole]
        for _, size in sizes:
            if whole % size or size % self.num_ranks:
                shared = f" over {self.num_ranks} processes" if self.num_ranks > 1 else ""
                raise UserError(
                    f"A batch of {whole} images{shared} has no equal parts of {size}: give "
                    "model.batch_sizes divisors of batch_size that the processes can share."
                )
        return whole // next((size for begin, size in reversed(sizes) if begin <= side), whole)

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"fake": self.generator(self.prior(noise, len(batch["image"])), self.growth.level)}

    def discriminate(self, images: Tensor, batch: Batch, noise: RandomStream) -> Tensor:
        return self.discriminator(self.apply_augmentations(images, noise), self.growth.level).float()

    def judge(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Returns the logits of images (N, C, H, W), reduced to the level's sides; there are no labels (N,)."""
        logits: Tensor = self.discriminator(self._reduced(images), self.growth.level)
        return logits

    def generate(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """Returns images (n, C, H, W) by the averaged generator, given latents (n, Z): those of the level, enlarged."""
        return interpolate(self.averaged("generator")(latents, self.growth.level), self.size)

    def on_train_start(self) -> None:
        super().on_train_start()
        self._grow()

    def after_iteration(self, outputs: Outputs, images: int) -> None:
        super().after_iteration(outputs, images)
        self._grow()
        self.recent["discriminator"]["level"] = torch.tensor(self.growth.level, device=self.device)

    def _grow(self) -> None:
        """Moves to the level of the images seen; a run that goes on with a larger budget keeps its own."""
        level = self.growth.at(self.top, self.images_seen, self.progress)
        self.growth.level = max(self.growth.level, level)
        self.level.fill_(self.growth.level)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if checkpoint["extra_state"] is None:
            self.growth.level = float(self.level)

    def extra_state(self) -> Mapping[str, Stateful]:
        return {**super().extra_state(), "growth": self.growth}

    def modules_to_compile(self) -> Sequence[nn.Module]:
        """Returns nothing: the networks change from level to level."""
        return []
