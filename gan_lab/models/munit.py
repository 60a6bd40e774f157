"""MUNIT (Huang et al. 2018): unpaired translation in many styles, by content that both domains share."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lab.common.bounds import NonNegative
from gan_lab.common.precision import at_inference
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective, OfImages
from gan_lab.models.bases.latents import draw_per_sample
from gan_lab.models.bases.translation import TranslationModule, eval_mode
from gan_lab.networks.munit import Autoencoder, Discriminator
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions

SIDES = ("a", "b")


class MUNIT(TranslationModule):
    """Phases: discriminators, then autoencoders. Both see one forward; the published code repeats it with new styles.

    The paper's domain-invariant perceptual loss, which it has for images above 512 px, is left out. Satisfies
    ``TranslatesInStyles``; styles are N(0, I).

    Args:
        autoencoder_a, autoencoder_b: of each domain.
        discriminator_a, discriminator_b: discriminators of the images of each domain.
        domains: arguments of ``gan_lab.common.domains.Domain`` for "a" and for "b".
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        reconstruction: weight λ_x of the reconstruction of images (eq. 1).
        content, style: weights λ_c and λ_s of the reconstruction of content and of styles (eq. 2, 3).
        cycle: weight of the style-augmented cycle consistency (section 4; 10 for pictures of animals and streets).
        adversarial: weight of the autoencoders' adversarial losses.
        discriminator_weight: weight of the discriminators' losses.
        engine: options that do not depend on the method.
    """

    shares_graph = "generator"
    a2b: Autoencoder
    b2a: Autoencoder
    discriminator_a: Discriminator
    discriminator_b: Discriminator

    def __init__(
        self,
        autoencoder_a: nn.Module,
        autoencoder_b: nn.Module,
        discriminator_a: nn.Module,
        discriminator_b: nn.Module,
        domains: Mapping[str, Mapping[str, Any]],
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        reconstruction: NonNegative = 10.0,
        content: NonNegative = 1.0,
        style: NonNegative = 1.0,
        cycle: NonNegative = 0.0,
        adversarial: NonNegative = 1.0,
        discriminator_weight: NonNegative = 1.0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__(  # an autoencoder has the name of the direction that it decodes translations of
            {"a2b": autoencoder_b, "b2a": autoencoder_a},
            {"discriminator_a": discriminator_a, "discriminator_b": discriminator_b},
            domains, objective, g_optimizer, d_optimizer, engine=engine,
        )  # fmt: skip
        self.reconstruction, self.content, self.style, self.cycle = reconstruction, content, style, cycle
        self.adversarial, self.discriminator_weight = adversarial, discriminator_weight

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("discriminator", self.d_losses),
            Phase("generator", self.g_losses, self.objective.n_critic),
        ]

    def modules_to_compile(self) -> Sequence[nn.Module]:
        parts = [[each.content, each.styles, each.decoder] for each in (self.a2b, self.b2a)]
        return [*parts[0], *parts[1], *self.discriminator_a.scales, *self.discriminator_b.scales]

    def of(self, side: str) -> Autoencoder:
        """Returns the autoencoder of a domain, "a" or "b"."""
        return self.a2b if side == "b" else self.b2a

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        """Returns content, styles, random styles, reconstructions and translations, by name and domain.

        Reconstructions and translations are decoded in one pass.
        """
        shared = {}
        for side in SIDES:
            shared[f"content_{side}"], shared[f"style_{side}"] = self.of(side).encode(batch[side])
        for side, other in (SIDES, SIDES[::-1]):
            n = len(batch[side])
            random = noise.normal(n, self.of(side).style)
            content = torch.cat([shared[f"content_{side}"], shared[f"content_{other}"]])
            images = self.of(side).decode(content, torch.cat([shared[f"style_{side}"], random]))
            shared |= {f"random_{side}": random, f"same_{side}": images[:n], f"fake_{side}": images[n:]}
        return shared

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        losses = {}
        for side in SIDES:
            for scale, discriminator in enumerate(self.judges(side)):
                real, fake = batch[side], shared[f"fake_{side}"]
                losses[f"{side}{scale}"] = self.objective.d(discriminator, real, fake, noise, self.iteration)
        return Losses.joined(losses).scaled(self.discriminator_weight)

    def judges(self, side: str) -> Sequence[OfImages]:
        """Returns the parts of the discriminator of domain ``side``."""
        network: Discriminator = getattr(self, f"discriminator_{side}")
        return [OfImages(self.judge, network=network, scale=scale) for scale in range(len(network.scales))]

    def judge(self, images: Tensor, network: Discriminator, scale: int) -> Tensor:
        """Returns the logits, float32 (N, 1, h, w), of images (N, C, H, W) by a part of a discriminator."""
        return network.logits(images, scale).float()

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 5."""
        return Losses.joined({side: self._g_losses(side, batch, shared) for side in SIDES})

    def _g_losses(self, side: str, batch: Batch, shared: Shared) -> Losses:
        """Returns the losses of the images that the autoencoder of a domain decodes, with content of both."""
        other, image, fake = SIDES[side == "a"], batch[side], shared[f"fake_{side}"]
        content, style = self.of(side).encode(fake)
        parts = [self.objective.g(discriminator, fake, image) for discriminator in self.judges(side)]
        terms = {
            "adversarial": self.adversarial * torch.stack(parts).sum(),
            "reconstruction": self.reconstruction * l1_loss(shared[f"same_{side}"].float(), image),
            "content": self.content * l1_loss(content.float(), shared[f"content_{other}"].float()),
            "style": self.style * l1_loss(style.float(), shared[f"random_{side}"]),
        }
        if self.cycle:
            back = self.of(other).decode(content, shared[f"style_{other}"])
            terms["cycle"] = self.cycle * l1_loss(back.float(), batch[other])
        return Losses(terms)

    # The capability TranslatesInStyles.

    def translator(self, to: str) -> nn.Module:
        """Returns the network from images of the other domain to images of domain ``to``, in the mean style.

        Raises:
            UserError: for a domain that the model does not have.
        """
        encoder = super().translator({"a": "b", "b": "a"}.get(to[-1], to))
        return InMeanStyle(cast(Autoencoder, encoder), cast(Autoencoder, super().translator(to)))

    def random_styles(self, n: int, to: str, seed: int = 0, start: int = 0) -> Tensor:
        width = self.a2b.style
        return draw_per_sample(lambda noise: noise.normal(1, width), n, seed, start, to).to(self.device)

    @torch.no_grad()
    def styles_of(self, image: Tensor, of: str) -> Tensor:
        network = cast(Autoencoder, super().translator(of))
        with at_inference(self.device), eval_mode(network):
            styles: Tensor = network.styles(image.to(self.device))
        return styles.float()

    @torch.no_grad()
    def restyle(self, image: Tensor, to: str, styles: Tensor) -> Tensor:
        network = self.translator(to)
        with at_inference(self.device), eval_mode(network):
            images: Tensor = network(image.to(self.device), styles.to(self.device))
        return images.float()

    def translate(self, image: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
        return self.restyle(image, to, self.random_styles(len(image), to, seed, start))


class InMeanStyle(nn.Module):
    """Maps images (N, C, H, W) to images of the other domain, in styles (N, S), or in the mean style without any."""

    def __init__(self, encoder: Autoencoder, decoder: Autoencoder) -> None:
        super().__init__()
        self.encoder, self.decoder, self.multiple = encoder, decoder, decoder.multiple

    def forward(self, images: Tensor, styles: Tensor | None = None) -> Tensor:
        styles = images.new_zeros(len(images), self.decoder.style) if styles is None else styles
        return self.decoder.decode(self.encoder.content(images), styles)
