"""Image restoration: noise, artefacts, low resolution and unknown pixels, by network, data and losses.

SRResNet and SRGAN (Ledig et al. 2017), ESRGAN (Wang et al. 2018), FFDNet (Zhang et al. 2018), LaMa (Suvorov et al.
2022), context encoders (Pathak et al. 2016) with the networks of Iizuka et al. (2017).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from gan_lab.common.bounds import NonNegative, PositiveInt, Probability
from gan_lab.common.errors import UserError
from gan_lab.common.fixed_network import FixedNetwork
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared, Stateful
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.options import EngineOptions


class Restorer(AlternatingModule):
    """Learns to undo damage: by the error of pixels, and later by a perceptual and an adversarial loss, if it has them.

    Satisfies ``Repairs`` by the network's moving average. Phases: the restorer, then the discriminator.

    Args:
        network: damaged images (N, C, h, w) → clean ones (N, C, factor · h, factor · w), both in [-1, 1]. If the damage
            leaves pixels unknown, it also takes ``known`` (N, 1, h, w).
        optimizer: function from parameters to an optimizer.
        channels: C.
        factor: sides of the clean images in sides of the damaged ones.
        masks: whether the damage leaves pixels unknown. Known pixels are taken from the damaged image. Training raises
            a UserError if the damage does not fit.
        l1: weight of the mean absolute error.
        perceptual: function that returns a distance of images, (a, b) → (N,); called once, when training begins.
        perceptual_weight: weight of that distance.
        discriminator: clean or restored images → logits; None for no adversarial loss. One with ``takes_known`` also
            takes ``known`` (N, 1, H, W).
        objective: adversarial loss and penalties of the discriminator, with n_critic = 1.
        d_optimizer: function from parameters to an optimizer.
        adversarial: weight of the restorer's adversarial loss.
        feature_matching: weight of the mean squared difference of the discriminator's maps (LaMa's form of Wang et al.
            2018, "pix2pixHD", eq. 4); for discriminators with ``maps(images)``, the logits last.
        discriminator_begin: share of the budget after which the perceptual and adversarial losses are used.
        engine: options that do not depend on the method.

    Raises:
        UserError: for another n_critic, or if of discriminator, objective and its optimizer only some are given.
    """

    shares_graph = "restorer"

    def __init__(
        self,
        network: nn.Module,
        optimizer: MakeOptimizer,
        channels: PositiveInt = 3,
        factor: PositiveInt = 1,
        masks: bool = False,
        l1: NonNegative = 1.0,
        perceptual: Callable[[], nn.Module] | None = None,
        perceptual_weight: NonNegative = 1.0,
        discriminator: nn.Module | None = None,
        objective: AdversarialObjective | None = None,
        d_optimizer: MakeOptimizer | None = None,
        adversarial: NonNegative = 5e-3,
        feature_matching: NonNegative = 0.0,
        discriminator_begin: Probability = 0.5,
        engine: EngineOptions | None = None,
    ) -> None:
        players = (discriminator, objective, d_optimizer)
        if any(player is None for player in players) and any(player is not None for player in players):
            raise UserError("A restorer takes discriminator, objective and d_optimizer together, or none of them.")
        critic = {} if d_optimizer is None else {"discriminator": d_optimizer}
        super().__init__({"restorer": optimizer, **critic}, engine, {"network": network})
        self.network, self.channels, self.factor, self.masks, self.l1 = network, channels, factor, masks, l1
        self.perceptual_loss = None if perceptual is None else FixedNetwork(perceptual)
        self.perceptual_weight = perceptual_weight
        self.discriminator, self.objective, self.adversarial = discriminator, objective, adversarial
        self.feature_matching, self.discriminator_begin = feature_matching, discriminator_begin
        if objective is not None and discriminator is not None:
            if objective.n_critic != 1:
                raise UserError("A restorer's discriminator takes one step for each of its own: give loss.n_critic=1.")
            objective.check({"discriminator": discriminator})
        if feature_matching and not hasattr(discriminator, "maps"):
            raise UserError(
                f"feature_matching={feature_matching} needs a discriminator with maps, such as that of "
                "gan_lab.networks.patchgan: give it, or feature_matching=0."
            )

    def phases(self) -> Sequence[Phase]:
        phases = [Phase("restorer", self.losses)]
        if self.discriminator is not None:
            phases.append(Phase("discriminator", self.d_losses, begin=self.discriminator_begin, stream="critic"))
        return phases

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        network = self.network if phase == "restorer" else self.discriminator
        assert network is not None
        return [network]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        known = batch.get("known")
        if self.masks and known is None:
            raise UserError("This model fills unknown pixels, but this damage leaves none: give damage=unknown.")
        if known is not None and not self.masks:
            raise UserError(
                "This damage leaves pixels unknown, which this model does not fill: give model=inpaint or other damage."
            )
        return {"restored": self.restored(self.network, batch["damaged"], known)}

    def restored(self, network: nn.Module, damaged: Tensor, known: Tensor | None) -> Tensor:
        """Returns what a network makes of damaged images (N, C, h, w); known pixels (N, 1, h, w) stay as they are."""
        if known is None:
            found: Tensor = network(damaged)
            return found
        return torch.lerp(network(damaged, known).to(damaged.dtype), damaged, known.to(damaged.dtype))

    def losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the error of pixels and, once they have begun, the perceptual and the adversarial loss."""
        restored, clean = shared["restored"].float(), batch["image"]
        terms = {"l1": self.l1 * l1_loss(restored, clean)}
        if self.progress < self.discriminator_begin:
            return Losses(terms)
        if self.perceptual_loss is not None:
            terms["perceptual"] = self.perceptual_weight * self.perceptual_loss(restored, clean).mean()
        if self.objective is not None and self.feature_matching:
            terms |= self._matched(self.objective, restored, clean)
        elif self.objective is not None:
            discriminate = partial(self.discriminate, known=batch.get("known"))
            terms["adversarial"] = self.adversarial * self.objective.g(discriminate, restored, clean)
        return Losses(terms)

    def _matched(self, objective: AdversarialObjective, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """Returns the adversarial loss and feature matching, from one pass of the discriminator over each image."""
        assert self.discriminator is not None
        maps: list[Tensor] = self.discriminator.maps(restored)  # type: ignore[operator]
        with torch.no_grad():
            wanted: list[Tensor] = self.discriminator.maps(clean)  # type: ignore[operator]
        logits = {id(restored): maps[-1].float(), id(clean): wanted[-1].float()}
        pairs = zip(maps[:-1], wanted[:-1], strict=True)
        distance = torch.stack([mse_loss(own.float(), real.float()) for own, real in pairs]).mean()
        return {
            "adversarial": self.adversarial * objective.g(lambda images: logits[id(images)], restored, clean),
            "feature_matching": self.feature_matching * distance,
        }

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the discriminator's losses; patches of known pixels count as real ones."""
        assert self.objective is not None
        clean, restored, known = batch["image"], shared["restored"], batch.get("known")
        discriminate = partial(self.discriminate, known=known)
        return self.objective.d(discriminate, clean, restored, noise, self.iteration, copied=known)

    def discriminate(self, images: Tensor, known: Tensor | None = None) -> Tensor:
        """Returns logits, float32, given images (N, C, H, W) and the pixels (N, 1, H, W) that were known."""
        assert self.discriminator is not None
        takes_known = getattr(self.discriminator, "takes_known", False)
        logits: Tensor = self.discriminator(images, known) if takes_known else self.discriminator(images)
        return logits.float()

    def after_step(self, phase: str) -> None:
        if phase == "discriminator" and self.objective is not None and self.discriminator is not None:
            self.objective.project(self.discriminator)

    def extra_state(self) -> Mapping[str, Stateful]:
        return {} if self.objective is None else self.objective.extra_state()

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [network for network in (self.network, self.discriminator) if network is not None]

    # The capability Repairs.

    @property
    def multiple(self) -> int:
        """Sides of the damaged images must be multiples of it."""
        return int(getattr(self.network, "multiple", 1))

    @property
    def receptive_radius(self) -> int | None:
        """Pixels of the damaged image, in each direction, that a result depends on; None if it depends on all."""
        found: int | None = getattr(self.network, "receptive_radius", None)
        return found

    def repair(self, image: Tensor, known: Tensor | None = None) -> Tensor:
        """Returns restored images, see ``Repairs``.

        Raises:
            UserError: if the model fills pixels and is not told which are known.
        """
        if self.masks and known is None:
            raise UserError("This model fills unknown pixels: give a mask.")
        known = known.to(self.device) if known is not None and self.masks else None
        with self.inference_mode():
            return self.restored(self.averaged("network"), image.to(self.device), known).float().clamp(-1, 1)
