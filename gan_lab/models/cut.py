"""CUT and FastCUT (Park et al. 2020): one-sided translation that preserves content by contrasting patches."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, NonNegative, PositiveFloat, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.contrastive import Heads, patch_nce, patches
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.translation import TranslationModule
from gan_lab.networks.resnet import Generator
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.augment import Augmentation
from gan_lab.training.options import EngineOptions


class CUT(TranslationModule):
    """Each patch of the output must match the same patch of the input, in features of the generator.

    Phases: discriminator, then generator.

    Args:
        generator: a → b, with ``features(images, at)`` and ``feature_channels(at, channels)``.
        discriminator: discriminator of images of b.
        domains: arguments of ``gan_lab.common.domains.Domain`` for "a" and for "b".
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        layers: layers of the generator with contrasted features, in ascending order.
        patches: number of contrasted patches in each image and layer.
        nce: weight λ of the contrastive loss between an image and its translation.
        identity: adds the contrastive loss between images of b and their own translation (the paper's
            L_PatchNCE(G, H, Y)); the two then share the weight.
        temperature: τ.
        dim: dimension of the contrasted features.
        discriminator_weight: weight of the discriminator's loss.
        adversarial: weight of the generator's adversarial loss.
        flip_equivariance: flips half of the inputs, and their features back (FastCUT), but not those of the identity.
        dropout_at_test, batch_statistics_at_test: see ``TranslationModule``.
        engine: options that do not depend on the method.
        augment: see ``TranslationModule``.

    Raises:
        UserError: for domains that differ, and for a generator without these layers.
    """

    shares_graph = "generator"
    a2b: Generator
    discriminator: nn.Module

    def __init__(
        self,
        generator: Generator,
        discriminator: nn.Module,
        domains: Mapping[str, Mapping[str, Any]],
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        layers: Sequence[Natural] = (0, 4, 8, 12, 16),
        patches: PositiveInt = 256,
        nce: NonNegative = 1.0,
        identity: bool = True,
        temperature: PositiveFloat = 0.07,
        dim: PositiveInt = 256,
        discriminator_weight: NonNegative = 1.0,
        adversarial: NonNegative = 1.0,
        flip_equivariance: bool = False,
        dropout_at_test: bool = False,
        batch_statistics_at_test: bool = False,
        engine: EngineOptions | None = None,
        augment: Mapping[str, Augmentation | None] | None = None,
    ) -> None:
        super().__init__(
            {"a2b": generator}, {"discriminator": discriminator}, domains, objective, g_optimizer, d_optimizer,
            dropout_at_test, batch_statistics_at_test, engine, augment,
        )  # fmt: skip
        self._check(generator, layers)
        self.layers, self.patches = tuple(layers), patches
        self.heads = Heads(generator.feature_channels(self.layers, self.domains["a"].network_channels), dim)
        self.nce, self.identity, self.temperature = nce, identity, temperature
        self.discriminator_weight, self.adversarial = discriminator_weight, adversarial
        self.flip_equivariance = flip_equivariance

    def _check(self, generator: Generator, layers: Sequence[int]) -> None:
        if self.domains["a"] != self.domains["b"]:
            raise UserError(
                "CUT encodes images of both domains by one generator, but they differ in channels or labels: choose "
                "model=cyclegan model.identity=0, or model=pix2pix for pairs."
            )
        if not hasattr(generator, "features") or layers[-1] >= len(generator.layers):
            raise UserError(
                f"CUT contrasts a residual generator's layers {', '.join(map(str, layers))}, and this one does not "
                "have them: give generator=resnet, or fewer model.layers."
            )

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("discriminator", self.d_losses, stream="critic"),
            Phase("generator", self.g_losses, self.objective.n_critic),
        ]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator] if phase == "discriminator" else [self.a2b, self.heads]

    @property
    def training_only(self) -> Sequence[str]:
        return [*super().training_only, "heads"]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        source = batch["a"]
        flipped = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        if self.flip_equivariance:
            flipped = noise.uniform(len(source)) < 0.5
        shared = {"flipped": flipped, "fake": self.a2b(_flip(source, flipped))}
        return {**shared, "same": self.a2b(batch["b"])} if self.identity else shared

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        discriminator = self.augmented(self.discriminate, noise)
        losses = self.objective.d(discriminator, batch["b"], shared["fake"], noise, self.iteration)
        return losses.scaled(self.discriminator_weight)

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 4."""
        discriminator = self.augmented(self.discriminate, noise)
        adversarial = self.adversarial * self.objective.g(discriminator, shared["fake"], batch["b"])
        nce = self._contrast(batch["a"], shared["fake"], shared["flipped"], noise)
        if not self.identity:
            return Losses({"adversarial": adversarial, "nce": self.nce * nce})
        same = self._contrast(batch["b"], shared["same"], torch.zeros_like(shared["flipped"]), noise)
        return Losses({"adversarial": adversarial, "nce": self.nce / 2 * nce, "nce_identity": self.nce / 2 * same})

    def _contrast(self, source: Tensor, output: Tensor, flipped: Tensor, noise: RandomStream) -> Tensor:
        """Returns the contrastive loss, the mean over layers; queries are patches of the output, flipped back."""
        # Queries first: autocast caches a cast of the weights, which must have been made with a graph.
        maps = [_flip(layer, flipped) for layer in self.a2b.features(output, self.layers)]
        places = [self._places(layer, noise) for layer in maps]
        queries = self.heads([patches(layer, at) for layer, at in zip(maps, places, strict=True)])
        with torch.no_grad():
            maps = self.a2b.features(source, self.layers)
            keys = self.heads([patches(layer, at) for layer, at in zip(maps, places, strict=True)])
        return torch.stack([patch_nce(q, k, self.temperature) for q, k in zip(queries, keys, strict=True)]).mean()

    def _places(self, maps: Tensor, noise: RandomStream) -> Tensor:
        """Returns P different places in the map of each image, (N, P)."""
        count = maps.shape[2] * maps.shape[3]
        return noise.uniform(len(maps), count).topk(min(self.patches, count), dim=1).indices

    def discriminate(self, images: Tensor) -> Tensor:
        """Returns logits, float32, given images (N, C, H, W)."""
        logits: Tensor = self.discriminator(images)
        return logits.float()


def _flip(images: Tensor, selected: Tensor) -> Tensor:
    """Flips the selected (N,) of images or maps (N, C, H, W) horizontally."""
    return torch.where(selected.view(-1, 1, 1, 1), images.flip(3), images)
