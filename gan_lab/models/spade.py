"""SPADE (Park et al. 2019): images of label maps, by normalisation that follows the map at every pixel."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import NonNegative
from gan_lab.common.errors import UserError
from gan_lab.common.precision import at_inference
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.autoencoder import kl_divergence
from gan_lab.models.bases.latents import draw_per_sample
from gan_lab.models.bases.matching import MatchingTranslation
from gan_lab.models.bases.translation import eval_mode
from gan_lab.networks.spade import Encoder, Generator
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.options import EngineOptions


class SPADE(MatchingTranslation):
    """One image for each label map; arguments are those of ``MatchingTranslation``."""

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"fake": self.a2b(batch["source"]), "source": batch["source"], "target": batch["target"]}


class GauGAN(SPADE):
    """SPADE with styles, which an encoder takes from images: many images of a map. Satisfies ``TranslatesInStyles``.

    Args:
        generator: a ``gan_lab.networks.spade.Generator`` with styles; they are N(0, I).
        kl: weight of the KL divergence of encoded styles from N(0, I), in nats per image; the published code sums it
            over the images of a device.
        discriminator, domains, objective, g_optimizer, d_optimizer, adversarial, discriminator_weight,
            feature_matching, features, perceptual, feature_weights, dropout_at_test, batch_statistics_at_test,
            engine: see ``MatchingTranslation``.

    Raises:
        UserError: for a generator without styles.
    """

    a2b: Generator

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        domains: Mapping[str, Mapping[str, Any]],
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        kl: NonNegative = 0.05,
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
        if not isinstance(generator, Generator) or generator.encoder is None:
            raise UserError("GauGAN's generator makes images of styles: give generator.style=256, or model=spade.")
        super().__init__(
            generator, discriminator, domains, objective, g_optimizer, d_optimizer, adversarial, discriminator_weight,
            feature_matching, features, perceptual, feature_weights, dropout_at_test, batch_statistics_at_test, engine,
        )  # fmt: skip
        self.kl = kl

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        source, target = batch["source"], batch["target"]
        mean, log_variance = encoder_of(self.a2b)(target)
        style = mean + (log_variance / 2).exp() * noise.normal(len(target), self.a2b.style)
        fake = self.a2b(source, style)
        return {"fake": fake, "source": source, "target": target, "mean": mean, "log_variance": log_variance}

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        losses = super().g_losses(batch, shared, noise)
        kl = kl_divergence(shared["mean"], shared["log_variance"]).sum(1).mean()
        return Losses({**losses.terms, "kl": self.kl * kl}, {**losses.logs, "kl_nats": kl})

    # The capability TranslatesInStyles.

    def random_styles(self, n: int, to: str, seed: int = 0, start: int = 0) -> Tensor:
        return draw_per_sample(lambda noise: noise.normal(1, self.a2b.style), n, seed, start).to(self.device)

    @torch.no_grad()
    def styles_of(self, image: Tensor, of: str) -> Tensor:
        """Returns the mean styles (N, S) of images (N, C, H, W) of domain "b".

        Raises:
            UserError: for domain "a": label maps have no style.
        """
        if of != "b":
            raise UserError("Styles are those of images, domain b: label maps have none.")
        encoder = encoder_of(self.translator("b"))
        with at_inference(self.device), eval_mode(encoder):
            return encoder(image.to(self.device))[0]

    @torch.no_grad()
    def restyle(self, image: Tensor, to: str, styles: Tensor) -> Tensor:
        network = self.translator(to)
        with at_inference(self.device), eval_mode(network):
            return network(image.to(self.device), styles.to(self.device)).float()

    def translate(self, image: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
        return self.restyle(image, to, self.random_styles(len(image), to, seed, start))


def encoder_of(generator: nn.Module) -> Encoder:
    """Returns the encoder of a generator with styles."""
    assert isinstance(generator, Generator) and generator.encoder is not None
    return generator.encoder
