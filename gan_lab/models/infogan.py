"""InfoGAN (Chen et al. 2016): codes that the critic's trunk can read back from the picture, found without labels."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.models.bases.gan import GANModule
from gan_lab.models.bases.latents import draw_per_sample


class InfoGAN(GANModule):
    """Latents are noise, a code of ``codes`` values and ``shades`` numbers in [-1, 1); ``label=`` chooses the code.

    The head that reads them is appendix C.1's without batch norm, so that it does not mix real and generated pictures.

    Args:
        discriminator: with ``features(images)``, of ``width`` numbers, and ``logits(features)``.
        codes: values of the categorical code (the paper's 10 on MNIST).
        shades: continuous codes (the paper's 2 on MNIST).
        information: weight λ of reading the categorical code (eq. 6).
        shading: weight of reading the continuous ones.
        gan: what ``GANModule`` takes; its generator takes Z + codes + shades latents.
    """

    replays = False
    discriminator: Any

    def __init__(
        self, codes: int = 10, shades: int = 2, information: float = 1.0, shading: float = 0.1, **gan: Any
    ) -> None:
        super().__init__(**gan)
        if self.classes:
            raise UserError("InfoGAN finds its codes without labels: leave conditional=true away.")
        self.codes, self.shades, self.information, self.shading = codes, shades, information, shading
        width = self.discriminator.width
        self.reader = nn.Sequential(nn.Linear(width, 128), nn.LeakyReLU(0.1), nn.Linear(128, codes + 2 * shades))

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [*super().trainable(phase), *([self.reader] if phase == "discriminator" else [])]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        n = len(batch["image"])
        latents, code, shade = (
            self.prior(noise, n),
            noise.integers(n, self.codes),
            2 * noise.uniform(n, self.shades) - 1,
        )
        return {"fake": self.generator(self._joined(latents, code, shade)), "code": code, "shade": shade}

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        read: list[Tensor] = []
        critic = self.critic_and(self.reader, read, noise)
        losses = self.objective.d(critic, batch["image"], shared["fake"], noise, self.iteration)
        right = (read[1][:, : self.codes].argmax(1) == shared["code"]).float().mean()
        return Losses({**losses.terms, **self._misread(read[1], shared)}, {**losses.logs, "code_accuracy": right})

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        read: list[Tensor] = []
        critic = self.critic_and(self.reader, read, noise)
        adversarial = self.objective.g(critic, shared["fake"], batch["image"])
        return Losses({"adversarial": adversarial, **self._misread(read[0], shared)})

    def _misread(self, read: Tensor, shared: Shared) -> dict[str, Tensor]:
        """The bound on the mutual information (eq. 5), negative: a categorical and a factored Gaussian likelihood."""
        code, mean, log_variance = read.split([self.codes, self.shades, self.shades], 1)
        terms = {"code": self.information * F.cross_entropy(code, shared["code"])}
        if self.shades:
            likely = torch.distributions.Normal(mean, (log_variance / 2).exp(), validate_args=False)
            terms["shade"] = -self.shading * likely.log_prob(shared["shade"]).sum(1).mean()
        return terms

    def _joined(self, latents: Tensor, code: Tensor, shade: Tensor) -> Tensor:
        return torch.cat([latents, F.one_hot(code, self.codes).to(latents), shade], 1)

    # Capabilities: a code takes the place of a label.

    @property
    def num_labels(self) -> int:
        return self.codes

    def latents(
        self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: int | Tensor | None = None
    ) -> Tensor:
        """Noise, shrunk, and codes, (n, Z + codes + shades); ``decode`` sets a label."""
        code = draw_per_sample(lambda noise: noise.integers(1, self.codes), n, seed, start, "code")
        shade = draw_per_sample(lambda noise: 2 * noise.uniform(1, self.shades) - 1, n, seed, start, "shade")
        latents = super().latents(n, seed, start, truncation)
        return self._joined(latents, code.to(latents.device), truncation * shade.to(latents))

    def latent_range(self) -> Tensor:
        """Codes stay as they are, of which one alone is ever on."""
        latent_range = super().latent_range()
        latent_range[-self.codes - self.shades :] = 0
        latent_range[len(latent_range) - self.shades :] = 1
        return latent_range

    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """A label replaces the latents' code."""
        if label is not None:
            noise, _, shade = latents.split([latents.shape[1] - self.codes - self.shades, self.codes, self.shades], 1)
            latents = self._joined(noise, self.check_labels(label, len(latents)), shade)
        return super().decode(latents)
