"""FastGAN (Liu et al. 2021): a light generator, and a discriminator that also reconstructs the real images."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, l1_loss

from gan_lab.common.bounds import Natural, NonNegative
from gan_lab.common.errors import UserError
from gan_lab.common.fixed_network import FixedNetwork
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.gan import Augmentations, GANModule, Wrappers
from gan_lab.models.bases.latents import Prior
from gan_lab.networks.fastgan import Discriminator, Generator
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.options import EngineOptions


class FastGAN(GANModule):
    """The discriminator learns to encode real images too. Samples have the generator's constant noise.

    Args:
        generator: a ``gan_lab.networks.fastgan.Generator``.
        discriminator: a ``gan_lab.networks.fastgan.Discriminator``.
        prior, objective, g_optimizer, d_optimizer: see ``GANModule``.
        classes, augment, wrappers, replay_pool, new_batch_for_generator, engine: see ``GANModule``.
        perceptual: function that returns a distance of images, (a, b) → (N,); called once, when training begins. None
            takes L1.
        reconstruction: weight of the distances of reconstructed images (section 3.2, eq. 4).

    Raises:
        UserError: for other networks.
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
        perceptual: Callable[[], nn.Module] | None = None,
        reconstruction: NonNegative = 1.0,
        augment: Augmentations | None = None,
        wrappers: Wrappers | None = None,
        replay_pool: ImagePool | None = None,
        new_batch_for_generator: bool = False,
        engine: EngineOptions | None = None,
    ) -> None:
        if not (isinstance(generator, Generator) and isinstance(discriminator, Discriminator)):
            raise UserError("FastGAN's discriminator decodes its own feature maps: leave network= out.")
        super().__init__(
            generator, discriminator, prior, objective, g_optimizer, d_optimizer, classes, augment, wrappers,
            replay_pool, new_batch_for_generator, engine,
        )  # fmt: skip
        self.perceptual_loss = None if perceptual is None else FixedNetwork(perceptual)
        self.reconstruction = reconstruction

    @staticmethod
    def check_data(data: Mapping[str, Any], perceptual: object = None, **_: object) -> None:
        """Checks that a perceptual distance can look at the images, see ``ChecksData``.

        Raises:
            UserError: if they are neither grey nor in colour.
        """
        if perceptual is not None and data.get("channels", 3) not in (1, 3):
            raise UserError("A perceptual distance looks at images with 1 or 3 channels: give model.perceptual=null.")

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        generator, n = cast(Generator, self.generator), len(batch["image"])
        latents = self.prior(noise, n)
        return {"fake": generator(latents, [noise.normal(n, 1, *size) for size in generator.noise_sizes])}

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the discriminator's losses and, for real images, that of its decoders."""
        fake = shared["fake"] if self.replay_pool is None else self.replay_pool.query(shared["fake"], noise)
        discriminator = Observed(self, noise)
        losses = self.objective.d(discriminator, batch["image"], fake, noise, self.iteration)
        reconstruction = self.reconstruction_loss(*discriminator.seen[0], noise)  # the real images pass first
        return Losses({**losses.terms, "reconstruction": self.reconstruction * reconstruction}, losses.logs)

    def reconstruction_loss(self, images: Tensor, f1: Tensor, f2: Tensor, noise: RandomStream) -> Tensor:
        """Returns the distance of the images, and of a random part of each, from what the decoders make of their maps.

        A part has half the height and width, as in the published code; the text has an eighth of each.

        Args:
            images: (N, C, H, W), after augmentation.
            f1: (N, C', 2 h, 2 w), of which the same part is decoded.
            f2: (N, C'', h, w).
            noise: random numbers of the turn.

        Returns:
            a scalar (eq. 4).
        """
        network, (height, width) = cast(Discriminator, self.discriminator), f2.shape[2:]
        tops, lefts = (noise.on_host().integers(len(f2), side + 1).tolist() for side in (height, width))
        part = network.decode_part(cropped(f1, tops, lefts, height, width))
        wanted = cropped(images, tops, lefts, height, width, scale=images.shape[2] // f1.shape[2])
        return self._distance(network.decode_whole(f2), images) + self._distance(part, wanted)

    def _distance(self, reconstructed: Tensor, images: Tensor) -> Tensor:
        """Returns the mean distance of reconstructions (N, C, h, w) from images (N, C, H, W), which are resized."""
        reconstructed = reconstructed.float()
        wanted = interpolate(images.detach().float(), reconstructed.shape[2:], mode="area")
        if self.perceptual_loss is None:
            return l1_loss(reconstructed, wanted)
        distance: Tensor = self.perceptual_loss(reconstructed, wanted).mean()
        return distance


class Observed:
    """The discriminator of a turn, which keeps what it has seen.

    Attributes:
        seen: of each call the images (N, C, H, W) after augmentation, f1 (N, C', 2 h, 2 w) and f2 (N, C'', h, w).
    """

    def __init__(self, gan: FastGAN, noise: RandomStream) -> None:
        self.gan, self.noise = gan, noise
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the logits, float32, of images (N, C, H, W)."""
        discriminator = cast(Discriminator, self.gan.discriminator)
        images = self.gan.apply_augmentations(images, self.noise)
        self.seen.append((images, *discriminator.maps(images)))
        return discriminator.logits(self.seen[-1][2]).float()


def cropped(maps: Tensor, tops: list[int], lefts: list[int], height: int, width: int, scale: int = 1) -> Tensor:
    """Returns a part (N, C, scale · height, scale · width) of each of the maps (N, C, H, W).

    Args:
        maps: (N, C, H, W).
        tops, lefts: first row and column of each part, divided by ``scale``.
        height, width, scale: see above.
    """
    parts = [
        each[:, scale * top : scale * (top + height), scale * left : scale * (left + width)]
        for each, top, left in zip(maps, tops, lefts, strict=True)
    ]
    return torch.stack(parts)
