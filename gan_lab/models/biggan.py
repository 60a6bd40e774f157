"""BigGAN (Brock, Donahue and Simonyan 2019): orthogonal regularisation, truncation, standing statistics."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_lab.common.bounds import Natural, NonNegative
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.losses.orthogonal import non_orthogonality
from gan_lab.models.bases.gan import Augmentations, GANModule, Wrappers
from gan_lab.models.bases.labels import Label
from gan_lab.models.bases.latents import Prior, sample_latents
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.noise import KeyedStream
from gan_lab.training.options import EngineOptions

STANDING_BATCH = 64
"""Samples in each of the batches that statistics are measured in."""


class BigGAN(GANModule):
    """A GAN with a generator that batch norms condition, at large batches.

    Args:
        generator, discriminator, prior, objective, g_optimizer, d_optimizer: see ``GANModule``.
        classes, augment, wrappers, replay_pool, new_batch_for_generator, engine: see ``GANModule``.
        orthogonal: weight of the orthogonal regularisation of the generator (eq. 3); 0 leaves it out.
        standing: batches of samples that the averaged generator's batch statistics are measured in before it is used
            (appendix D); 0 uses the averages of training.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        classes: Natural = 0,
        orthogonal: NonNegative = 1e-4,
        standing: Natural = 4,
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
        self.orthogonal, self.standing = orthogonal, standing

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the adversarial loss and the regularisation, from which the embedding of classes is exempt."""
        losses = super().g_losses(batch, shared, noise)
        if not self.orthogonal:
            return losses
        embedding = getattr(self.generator, "classes", None)
        with torch.autocast(self.device.type, enabled=False):
            value = non_orthogonality(each for each in self.generator.parameters() if each is not embedding)
        return Losses({**losses.terms, "orthogonal": self.orthogonal * value}, losses.logs)

    def sync_buffers(self) -> None:
        """Averages buffers over ranks, and measures the averaged generator's batch statistics. Collective."""
        super().sync_buffers()
        if self.standing and self.ema is not None:
            self._measure_statistics(self.ema.networks["generator"])

    def _measure_statistics(self, generator: nn.Module) -> None:
        norms = [layer for layer in generator.modules() if isinstance(layer, _BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.train().momentum = None  # the mean of all batches
        with self.inference_mode():
            for i in range(self.standing):
                noise = KeyedStream(self.engine.seed, "standing", i, device=self.device)
                labels = [noise.integers(STANDING_BATCH, self.classes)] if self.classes else []
                generator(self.prior(noise, STANDING_BATCH), *labels)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval().momentum = momentum

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: Label = None) -> Tensor:
        """Returns latents (n, Z) of samples start … start + n - 1 of the seed; the label is not used.

        Below 1, truncation resamples numbers beyond ± 2 · ``truncation`` (section 3.1). The result has that
        distribution, and is a monotone function of the latents without truncation, so that samples stay similar.
        """
        latents = sample_latents(self.prior, n, seed, start).to(self.device)
        return latents if truncation == 1 else resampled(latents, 2 * truncation)


def resampled(latents: Tensor, most: float) -> Tensor:
    """Maps normal numbers of any shape to the distribution that they have if those beyond ± most are drawn again."""
    inside = torch.special.ndtr(torch.tensor(most, dtype=torch.float64, device=latents.device)) * 2 - 1
    shares = 0.5 + (torch.special.ndtr(latents.double()) - 0.5) * inside
    return cast(Tensor, torch.special.ndtri(shares)).to(latents.dtype)
