"""Base of the methods that make images of label maps against discriminators of several scales.

Wang et al. 2018 (pix2pixHD), section 3.2; Park et al. 2019 (SPADE).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import NonNegative
from gan_lab.common.errors import UserError
from gan_lab.common.fixed_network import FixedNetwork
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.matching import feature_matching, perceptual_l1
from gan_lab.losses.objective import AdversarialObjective, OfImages
from gan_lab.models.bases.translation import TranslationModule
from gan_lab.networks.patchgan import MultiscaleDiscriminator
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions


class MatchingTranslation(TranslationModule):
    """Paired translation by an adversarial loss, feature matching and a perceptual loss.

    Phases: generator, then discriminator, on the same generated images. ``shared_forward`` of a method returns ``fake``
    and, with the same size, ``source`` and ``target``.

    Args:
        generator: source → target.
        discriminator: a ``MultiscaleDiscriminator`` of source and target, concatenated along the channels.
        domains: arguments of ``gan_lab.common.domains.Domain`` for "a" and for "b".
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        adversarial: weight of the generator's adversarial loss.
        discriminator_weight: weight of the discriminator's loss.
        feature_matching: weight λ of the mean absolute differences of the discriminators' maps (pix2pixHD, eq. 4, 5),
            averaged over the scales, as in the published code.
        features: function that returns a network for the perceptual loss, images → maps of several layers; called once,
            when training begins. None for no perceptual loss.
        perceptual: weight of the perceptual loss.
        feature_weights: see ``gan_lab.losses.matching.perceptual_l1``.
        dropout_at_test, batch_statistics_at_test: see ``TranslationModule``.
        engine: options that do not depend on the method.

    Raises:
        UserError: for another discriminator.
    """

    shares_graph = "generator"
    a2b: nn.Module
    discriminator: MultiscaleDiscriminator

    sums_scales: ClassVar[bool] = False
    """True if adversarial losses are summed over the scales, as in pix2pixHD's eq. 3; false if they are averaged."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        domains: Mapping[str, Mapping[str, Any]],
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
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
        if not isinstance(discriminator, MultiscaleDiscriminator):
            raise UserError(f"{type(self).__name__} needs gan_lab.networks.patchgan.MultiscaleDiscriminator.")
        super().__init__(
            {"a2b": generator}, {"discriminator": discriminator}, domains, objective, g_optimizer, d_optimizer,
            dropout_at_test, batch_statistics_at_test, engine,
        )  # fmt: skip
        self.adversarial, self.discriminator_weight = adversarial, discriminator_weight
        self.feature_matching, self.perceptual, self.feature_weights = feature_matching, perceptual, feature_weights
        self.features = None if features is None or not perceptual else FixedNetwork(features)

    @staticmethod
    def check_data(data: Mapping[str, Any], features: object = None, perceptual: float = 10.0, **_: object) -> None:
        """Checks that the perceptual loss can look at the targets, see ``ChecksData``.

        Raises:
            UserError: if they are label maps.
        """
        if features is not None and perceptual and (data.get("domains") or {}).get("b", {}).get("labels"):
            raise UserError("The perceptual loss looks at images, and the targets are label maps: give perceptual=0.")

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("generator", self.g_losses, self.objective.n_critic),
            Phase("discriminator", self.d_losses),
        ]

    def scales(self) -> Sequence[int]:
        """Returns the numbers of the discriminators that judge the present images, from the finest."""
        return range(len(self.discriminator.scales))

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        fake, target, scales = shared["fake"], shared["target"], self.scales()
        parts = [self._g_losses(fake, target, shared["source"], scale) for scale in scales]
        adversarial, matching = (torch.stack(each).mean() for each in zip(*parts, strict=True))
        weight = self.adversarial * (len(scales) if self.sums_scales else 1)
        terms = {"adversarial": weight * adversarial, "feature_matching": self.feature_matching * matching}
        if self.features is not None:
            terms["perceptual"] = self.perceptual * self._perceptual(fake, target)
        return Losses(terms)

    def _g_losses(self, fake: Tensor, target: Tensor, source: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """Returns the adversarial loss and feature matching by one discriminator, from one pass of each image."""
        maps = self._maps(fake, source, scale)
        with torch.no_grad():
            wanted = self._maps(target, source, scale)
        logits = {id(fake): maps[-1].float(), id(target): wanted[-1].float()}
        adversarial = self.objective.g(lambda images: logits[id(images)], fake, target)
        return adversarial, feature_matching(maps[:-1], wanted[:-1])

    def _perceptual(self, fake: Tensor, target: Tensor) -> Tensor:
        features = cast(FixedNetwork, self.features)
        maps = features(fake.float().expand(-1, 3, -1, -1))
        with torch.no_grad():
            wanted = features(target.expand(-1, 3, -1, -1))
        return perceptual_l1(maps, wanted, self.feature_weights)

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        target, fake, scales = shared["target"], shared["fake"], self.scales()
        losses = {}
        for scale in scales:
            discriminator = OfImages(self.discriminate, source=shared["source"], scale=scale)
            losses[str(scale)] = self.objective.d(discriminator, target, fake, noise, self.iteration)
        return Losses.joined(losses).scaled(self.discriminator_weight / (1 if self.sums_scales else len(scales)))

    def discriminate(self, images: Tensor, source: Tensor, scale: int) -> Tensor:
        """Returns the logits, float32 (N, 1, h, w), of one discriminator, given images (N, C, H, W) and their sources.

        Args:
            images: of one batch, or of several with the same sources one after the other.
            source: (N', C', H, W).
            scale: the discriminator's number.
        """
        return self._maps(images, source, scale)[-1].float()

    def _maps(self, images: Tensor, source: Tensor, scale: int) -> list[Tensor]:
        pairs = self.discriminator_input(images, source)
        return self.discriminator.maps(pairs, scale, self.scales()[0])

    def discriminator_input(self, image: Tensor, source: Tensor) -> Tensor:
        """Returns source and image (N, C' + C, H, W), given images (N, C, H, W) and sources (N', C', H, W)."""
        times = len(image) // len(source)
        return torch.cat([source.repeat(times, 1, 1, 1) if times > 1 else source, image], 1)
