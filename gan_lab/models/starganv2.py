"""StarGAN v2 (Choi et al. 2020): one generator for all domains, in styles that are drawn or taken from an image."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.bounds import NonNegative, PositiveFloat, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.fixed_network import FixedNetwork
from gan_lab.common.gradients import bounded, learning
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.latents import Prior, sample_latents
from gan_lab.models.bases.many_domains import ManyDomainsModule
from gan_lab.networks.starganv2 import Generator
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions

Masks = tuple[Tensor, Tensor]
"""Shares of skipping maps, for 32 px and for larger maps; see ``gan_lab.networks.starganv2.Generator.decode``."""


class StarGANv2(ManyDomainsModule):
    """Phases: the discriminator against latent-guided and then reference-guided images, and the generator likewise.

    Both phases of a player step one optimizer. The second of the generator leaves mapping network and style encoder as
    they are, as in the published code. Satisfies ``TranslatesAmong``.

    Args:
        generator: a ``gan_lab.networks.starganv2.Generator`` G.
        mapping_network: F, latents (N, Z) and domains (N,) → styles (N, S).
        style_encoder: E, images (N, C, H, W) and domains (N,) → styles (N, S).
        discriminator: D, images and domains → logits (N, 1).
        prior: of the latents.
        classes, objective, g_optimizer, d_optimizer: see ``ManyDomainsModule``.
        mapping_lr: learning rate of the mapping network.
        style: weight λ_sty of the style reconstruction (eq. 2).
        diversity: weight λ_ds of the diversity sensitive loss (eq. 3); a schedule leads it to 0 over the budget.
        cycle: weight λ_cyc of the cycle consistency (eq. 4).
        masks: function that returns a network, images → ``Masks``, which is called once, when it is needed: where
            high frequencies skip the bottleneck. The published code takes heatmaps of facial landmarks, by a network
            of its own. None lets them skip everywhere.
        engine: options that do not depend on the method.

    Raises:
        UserError: for a single domain, a relativistic loss, and a balanced consistency penalty.
    """

    generator: Generator
    mapping_network: nn.Module
    style_encoder: nn.Module

    def __init__(
        self,
        generator: Generator,
        mapping_network: nn.Module,
        style_encoder: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        classes: PositiveInt,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        mapping_lr: PositiveFloat = 1e-6,
        style: NonNegative = 1.0,
        diversity: NonNegative = 1.0,
        cycle: NonNegative = 1.0,
        masks: Callable[[], nn.Module] | None = None,
        engine: EngineOptions | None = None,
    ) -> None:
        players = {"generator": generator, "mapping_network": mapping_network, "style_encoder": style_encoder}
        super().__init__(players, discriminator, classes, objective, g_optimizer, d_optimizer, engine)
        if objective.loss.relativistic or any(
            getattr(each, "balanced", False) for each in objective.penalties.values()
        ):
            raise UserError(
                "StarGAN v2 judges real and generated images of different domains, which a relativistic loss would "
                "compare, and a balanced penalty confuse: choose loss=r1, or loss.penalties.consistency.balanced=false."
            )
        self.prior, self.mapping_lr = prior, mapping_lr
        self.style, self.diversity, self.cycle = style, diversity, cycle
        self.masks = None if masks is None else FixedNetwork(masks)

    def phases(self) -> Sequence[Phase]:
        every = self.objective.n_critic
        return [
            Phase("discriminator", self.d_losses),
            Phase("discriminator_reference", self.d_reference_losses, optimizer="discriminator"),
            Phase("generator", self.g_losses, every),
            Phase("generator_reference", self.g_reference_losses, every, optimizer="generator"),
        ]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        if phase == "generator_reference":
            return [self.generator]
        return super().trainable(phase.removesuffix("_reference"))

    def parameter_groups(self, phase: str) -> Sequence[nn.Parameter] | Sequence[dict[str, Any]]:
        if phase == "discriminator":
            return super().parameter_groups(phase)
        own: list[nn.Parameter] = [*self.generator.parameters(), *self.style_encoder.parameters()]
        groups: list[dict[str, Any]] = [{"params": own}]
        return [*groups, {"params": [*self.mapping_network.parameters()], "lr": self.mapping_lr}]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        """Returns latent-guided images and their styles, images in second styles, and reference-guided ones.

        All are drawn from one encoding of the source, since the discriminator's steps do not change the generator.
        """
        image, to, n = batch["image"], batch["to"], len(batch["image"])
        masks, latents = self.masks_of(image), self.prior(noise, 2 * n)
        first, second = latents.view(n, 2, -1).unbind(1)
        style = self.mapping_network(first, to)
        maps, skips = self.generator.encode(image)
        fake = self.generator.decode(maps, skips, style, masks)
        with torch.no_grad(), learning(self.style_encoder, False):  # else autocast would keep casts without a graph
            styles = self.mapping_network(second, to), self.style_encoder(batch["reference"], to)
            others = [self.generator.decode(maps, skips, each, masks) for each in styles]
        return {"fake": fake, "style": style, "second": others[0], "reference": others[1]}

    def masks_of(self, images: Tensor) -> Masks | None:
        """Returns where high frequencies skip the bottleneck for images (N, C, H, W); None: everywhere."""
        if self.masks is None:
            return None
        with torch.no_grad():
            return cast(Masks, self.masks(images))

    def modules_to_compile(self) -> Sequence[nn.Module]:
        blocks = [*self.generator.encoding, *self.generator.decoding]
        return [*blocks, self.mapping_network, self.style_encoder, self.discriminator]

    # The discriminator.

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        return self._d_losses(batch, shared["fake"], noise)

    def d_reference_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        return self._d_losses(batch, shared["reference"], noise)

    def _d_losses(self, batch: Batch, fake: Tensor, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 1, and the penalties."""
        of_real, of_fake = (partial(self.discriminate, domains=batch[key]) for key in ("label", "to"))
        return self.objective.d(of_real, batch["image"], fake, noise, self.iteration, of_fake=of_fake)

    def discriminate(self, images: Tensor, domains: Tensor) -> Tensor:
        """Returns logits (N, 1), float32, of images (N, C, H, W) in their domains (N,)."""
        logits: Tensor = self.discriminator(images, domains)
        return logits.float()

    # The generator.

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 5 for styles of random latents."""
        fake, n = shared["fake"], len(batch["image"])
        images, domains = torch.cat([fake, batch["image"]]), torch.cat([batch["to"], batch["label"]])
        found, own = self.style_encoder(images, domains).split(n)
        return self._g_losses(batch, fake, shared["second"], shared["style"], found, own)

    def g_reference_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 5 for styles of reference images; the style encoder learns nothing from them."""
        image, to = batch["image"], batch["to"]
        with learning(self.style_encoder, False):
            with torch.no_grad():
                images = torch.cat([batch["reference"], batch["second_reference"], image])
                styles = self.style_encoder(images, torch.cat([to, to, batch["label"]]))
                style, second, own = styles.split(len(image))
            masks = self.masks_of(image)
            maps, skips = self.generator.encode(image)
            fake = self.generator.decode(maps, skips, style, masks)
            with torch.no_grad():
                other = self.generator.decode(maps, skips, second, masks)
            return self._g_losses(batch, fake, other, style, self.style_encoder(fake, to), own)

    def _g_losses(self, batch: Batch, fake: Tensor, other: Tensor, style: Tensor, found: Tensor, own: Tensor) -> Losses:
        """Returns the losses of images ``fake`` (N, C, H, W), given images in second styles and three times styles.

        Those are the styles (N, S) that they were drawn in, those that are found in them, and those of their sources.
        """
        image = batch["image"]
        back = self.generator(fake, own, self.masks_of(fake))
        adversarial = self.objective.g(partial(self.discriminate, domains=batch["to"]), fake, image)
        terms = {
            "adversarial": adversarial,
            "style": self.style * l1_loss(found.float(), style.float()),
            "diversity": -self.diversity * l1_loss(fake.float(), other.float()),
            "cycle": self.cycle * l1_loss(back.float(), image),
        }
        return Losses(terms, {"diversity_weight": adversarial.new_tensor(self.diversity)})

    # The capability TranslatesAmong.

    def random_styles(self, n: int, to: int | Tensor, seed: int = 0, start: int = 0) -> Tensor:
        """Returns styles start … start + n - 1 of the seed, (n, S), of a class for all or int64 (n,)."""
        latents = sample_latents(self.prior, n, seed, start).to(self.device)
        with self.inference_mode():
            styles: Tensor = self.averaged("mapping_network")(latents, self.labels.check(to, n, self.device))
        return styles.float()

    def styles_of(self, image: Tensor, of: int | Tensor) -> Tensor:
        """Returns the styles (N, S) of images (N, C, H, W) in [-1, 1] of a class for all or int64 (N,)."""
        domains = self.labels.check(of, len(image), self.device)
        with self.inference_mode():
            styles: Tensor = self.averaged("style_encoder")(image.to(self.device), domains)
        return styles.float()

    def restyle(self, image: Tensor, to: int | Tensor, styles: Tensor) -> Tensor:
        """Translates images (N, C, H, W) in [-1, 1] in styles (N, S), which have the domain in them.

        Returns:
            float32 (N, C, H, W) in [-1, 1].

        Raises:
            UserError: for a class that the model does not know.
        """
        self.labels.check(to, len(image), self.device)
        image, styles = image.to(self.device), styles.to(self.device)
        with self.inference_mode():
            return bounded(self.averaged("generator")(image, styles, self.masks_of(image)))
