"""CUT and FastCUT (Park et al. 2020): one-sided translation that keeps what is where by contrasting patches."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.contrastive import Heads, patch_nce, patches
from gan_lab.models.bases.translation import TranslationModule


class CUT(TranslationModule):
    """Each patch of the output must be found again among those of the input, in the generator's own features.

    Args:
        generator: a → b, with ``features(images, at)`` and ``widths(at, channels)``.
        discriminator: of pictures of b.
        layers: of the generator whose features are contrasted, ascending.
        patches: contrasted in each picture and layer.
        nce: weight λ of the contrast between a picture and its translation.
        identity: whether pictures of b are contrasted with their own translation too (the paper's L_PatchNCE(G, H, Y));
            the two then share the weight.
        temperature: τ.
        dim: of the contrasted features.
        critic: weight of the critic's loss.
        adversarial: weight of the generator's adversarial term.
        flip_equivariance: mirrors half of the inputs, and their features back (FastCUT); not those of the identity.
        translation: what ``TranslationModule`` takes.

    Raises:
        UserError: for domains that are not alike, and a generator that does not have the layers.
    """

    shares_graph = "generator"
    a2b: Any
    discriminator: nn.Module

    def __init__(
        self,
        generator: Any,
        discriminator: nn.Module,
        layers: Sequence[int] = (0, 4, 8, 12, 16),
        patches: int = 256,
        nce: float = 1.0,
        identity: bool = True,
        temperature: float = 0.07,
        dim: int = 256,
        critic: float = 1.0,
        adversarial: float = 1.0,
        flip_equivariance: bool = False,
        **translation: Any,
    ) -> None:
        super().__init__({"a2b": generator}, {"discriminator": discriminator}, **translation)
        if self.domains["a"] != self.domains["b"]:
            raise UserError(
                "CUT looks at pictures of both domains through one generator, but they differ in channels or labels: "
                "choose model=cyclegan model.identity=0, or model=pix2pix for pairs."
            )
        if not hasattr(generator, "features") or layers[-1] >= len(generator.layers):
            raise UserError(
                f"CUT contrasts a residual generator's layers {', '.join(map(str, layers))}, and this one does not "
                "have them: give generator=resnet, or fewer model.layers."
            )
        self.layers, self.patches = tuple(layers), patches
        self.heads = Heads(generator.feature_channels(self.layers, self.domains["a"].network_channels), dim)
        self.nce, self.identity, self.temperature = nce, identity, temperature
        self.critic, self.adversarial, self.flip_equivariance = critic, adversarial, flip_equivariance

    def phases(self) -> Sequence[Phase]:
        return [Phase("critic", self.d_losses), Phase("generator", self.g_losses, interval=self.n_critic)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator] if phase == "critic" else [self.a2b, self.heads]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        source = batch["a"]
        flipped = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        if self.flip_equivariance:
            flipped = noise.uniform(len(source)) < 0.5
        drawn = {"flipped": flipped, "fake": self.a2b(_mirrored(source, flipped))}
        return {**drawn, "same": self.a2b(batch["b"])} if self.identity else drawn

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        losses = self.objective.d(self._critic, batch["b"], shared["fake"], noise, self.iteration)
        return Losses({name: self.critic * loss for name, loss in losses.terms.items()}, losses.logs)

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        adversarial = self.adversarial * self.objective.g(self._critic, shared["fake"], batch["b"])
        nce = self._contrast(batch["a"], shared["fake"], shared["flipped"], noise)
        if not self.identity:
            return Losses({"adversarial": adversarial, "nce": self.nce * nce})
        same = self._contrast(batch["b"], shared["same"], torch.zeros_like(shared["flipped"]), noise)
        return Losses({"adversarial": adversarial, "nce": self.nce / 2 * nce, "nce_identity": self.nce / 2 * same})

    def _contrast(self, source: Tensor, output: Tensor, flipped: Tensor, noise: RandomStream) -> Tensor:
        """Mean over the layers; queries are the output's patches, turned back where their source was mirrored."""
        # Queries first: weights that autocast casts without a graph, it would hand on to them so.
        queries = [_mirrored(maps, flipped) for maps in self.a2b.features(output, self.layers)]
        places = [self._places(maps, noise) for maps in queries]
        found = self.heads([patches(maps, at) for maps, at in zip(queries, places, strict=True)])
        with torch.no_grad():
            keys = self.a2b.features(source, self.layers)
            contrast = self.heads([patches(maps, at) for maps, at in zip(keys, places, strict=True)])
        terms = [patch_nce(q, k, self.temperature) for q, k in zip(found, contrast, strict=True)]
        return torch.stack(terms).mean()

    def _places(self, maps: Tensor, noise: RandomStream) -> Tensor:
        """Different places of each picture's map, (N, P)."""
        count = maps.shape[2] * maps.shape[3]
        return noise.uniform(len(maps), count).topk(min(self.patches, count), dim=1).indices

    def _critic(self, images: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(images)
        return logits.float()


def _mirrored(images: Tensor, chosen: Tensor) -> Tensor:
    """The chosen (N,) of images or maps (N, C, H, W) flipped from left to right."""
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)
