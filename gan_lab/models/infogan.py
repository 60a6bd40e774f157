"""InfoGAN (Chen et al. 2016): latent codes that the discriminator's features predict, learned without labels."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, NonNegative, PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.gan import Augmentations, DiscriminatorWithHead, FeatureDiscriminator, GANModule, Wrappers
from gan_lab.models.bases.labels import Label, Labels
from gan_lab.models.bases.latents import Prior, draw_per_sample
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.options import EngineOptions


class InfoGAN(GANModule):
    """Latents are noise, a categorical code of ``codes`` values, which a label sets, and ``shades`` continuous codes.

    Continuous codes lie in [-1, 1). The head that predicts the codes is that of appendix C.1 without batch norm, so
    that it does not mix real and generated images.

    Args:
        generator: latents (N, Z + codes + shades) → images.
        discriminator: has ``features(images)``, of ``width`` numbers, and ``logits(features)``.
        prior, objective, g_optimizer, d_optimizer: see ``GANModule``.
        classes: 0.
        codes: number of values of the categorical code (the paper's 10 on MNIST).
        shades: number of continuous codes (the paper's 2 on MNIST).
        information: weight λ of predicting the categorical code (eq. 6).
        shading: weight of predicting the continuous codes.
        augment, wrappers, replay_pool, new_batch_for_generator, engine: see ``GANModule``.

    Raises:
        UserError: for a model with classes, and for a replay pool.
    """

    supports_replay = False

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        classes: Natural = 0,
        codes: Natural = 10,
        shades: PositiveInt = 2,
        information: NonNegative = 1.0,
        shading: NonNegative = 0.1,
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
        if classes:
            raise UserError("InfoGAN learns its codes without labels: leave conditional=true out.")
        self.codes, self.shades, self.information, self.shading = codes, shades, information, shading
        width = cast(FeatureDiscriminator, self.discriminator).width
        self.reader = nn.Sequential(nn.Linear(width, 128), nn.LeakyReLU(0.1), nn.Linear(128, codes + 2 * shades))

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator, self.reader] if phase == "discriminator" else [self.generator]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        n = len(batch["image"])
        latents, code = self.prior(noise, n), noise.integers(n, self.codes)
        shade = 2 * noise.uniform(n, self.shades) - 1
        return {"fake": self.generator(self._join(latents, code, shade)), "code": code, "shade": shade}

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        discriminator = DiscriminatorWithHead(self, self.reader, noise)
        losses = self.objective.d(discriminator, batch["image"], shared["fake"], noise, self.iteration)
        predicted = discriminator.outputs[1]  # for the generated images
        accuracy = (predicted[:, : self.codes].argmax(1) == shared["code"]).float().mean()
        terms = {**losses.terms, **self._information_losses(predicted, shared)}
        return Losses(terms, {**losses.logs, "code_accuracy": accuracy})

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of eq. 6."""
        discriminator = DiscriminatorWithHead(self, self.reader, noise)
        adversarial = self.objective.g(discriminator, shared["fake"], batch["image"])
        return Losses({"adversarial": adversarial, **self._information_losses(discriminator.outputs[0], shared)})

    def _information_losses(self, predicted: Tensor, shared: Shared) -> dict[str, Tensor]:
        """Returns the negative bound on the mutual information (eq. 5), categorical and factored Gaussian."""
        code, mean, log_variance = predicted.split([self.codes, self.shades, self.shades], 1)
        terms = {"code": self.information * F.cross_entropy(code, shared["code"])}
        if self.shades:
            density = torch.distributions.Normal(mean, (log_variance / 2).exp(), validate_args=False)
            terms["shade"] = -self.shading * density.log_prob(shared["shade"]).sum(1).mean()
        return terms

    def _join(self, latents: Tensor, code: Tensor, shade: Tensor) -> Tensor:
        return torch.cat([latents, F.one_hot(code, self.codes).to(latents), shade], 1)

    # Capabilities: the categorical code takes the place of a label.

    @property
    def num_labels(self) -> int:
        return self.codes

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: Label = None) -> Tensor:
        """Returns noise, shrunk by ``truncation``, and codes, (n, Z + codes + shades); ``decode`` sets a label."""
        code = draw_per_sample(lambda noise: noise.integers(1, self.codes), n, seed, start, "code")
        shade = draw_per_sample(lambda noise: 2 * noise.uniform(1, self.shades) - 1, n, seed, start, "shade")
        latents = super().latents(n, seed, start, truncation)
        return self._join(latents, code.to(latents.device), truncation * shade.to(latents))

    def latent_range(self) -> Tensor:
        """Returns half-ranges (Z + codes + shades,); those of the categorical code are 0, since it is one-hot."""
        latent_range = super().latent_range()
        latent_range[-self.codes - self.shades :] = 0
        latent_range[len(latent_range) - self.shades :] = 1
        return latent_range

    def decode(self, latents: Tensor, label: Label = None) -> Tensor:
        """Returns images (n, C, H, W), given latents (n, Z + codes + shades); a label replaces their code."""
        if label is not None:
            noise, _, shade = latents.split([latents.shape[1] - self.codes - self.shades, self.codes, self.shades], 1)
            latents = self._join(noise, Labels(self.codes).check(label, len(latents), latents.device), shade)
        return super().decode(latents)
