"""The unconditional GAN (Goodfellow et al. 2014), whole: DCGAN, LSGAN, WGAN, WGAN-GP and others are YAML over it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_lab.core.adversary import AdversarialLoss, Adversary, Critic, Penalty
from gan_lab.core.alternating import AlternatingModule
from gan_lab.core.ema import EMA
from gan_lab.core.latents import numbered
from gan_lab.precision import full_precision
from gan_lab.types import Batch, Drawn, Noise, Phase, Terms, UserError


class Prior(Protocol):
    """Random numbers and a count n → latents (n, Z)."""

    def __call__(self, noise: Noise, n: int) -> Tensor: ...


class GANModule(AlternatingModule):
    """A generator and a discriminator, trained in turn; samples come from the generator's moving average.

    Methods override ``draw``, ``critic``, ``d_terms`` or ``g_terms``.

    Args:
        generator: latents (N, Z) → images (N, C, H, W) in [-1, 1].
        discriminator: images → logits, of any shape with N first.
        prior: random numbers → latents.
        loss: the adversarial objective on logits.
        g_optimizer, d_optimizer: parameters → optimizer.
        penalties: on the discriminator, by the name they are logged under; null entries are left out.
        augment: (images, noise) → images, in front of the discriminator, real and fake alike.
        project: applied to the discriminator after each of its steps (weight clipping).
        n_critic: discriminator steps for each generator step.
        ema_half_life: of the generator's average, in images.
        schedule: share of the budget used → factor on both learning rates.
        core: what ``AlternatingModule`` takes.

    Raises:
        UserError: for a per-sample penalty over a discriminator with batch normalisation, which mixes samples.
    """

    shares_graph = "generator"

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        loss: AdversarialLoss,
        g_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        d_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        penalties: Mapping[str, Penalty | None] | None = None,
        augment: Callable[[Tensor, Noise], Tensor] | None = None,
        project: Callable[[nn.Module], None] | None = None,
        n_critic: int = 1,
        ema_half_life: float = 10_000,
        schedule: Callable[[float], float] | None = None,
        **core: Any,
    ) -> None:
        schedules = {"discriminator": schedule, "generator": schedule} if schedule else {}
        super().__init__(
            optimizers={"discriminator": d_optimizer, "generator": g_optimizer},
            ema=EMA({"generator": generator}, ema_half_life),
            schedules=schedules,
            **core,
        )
        self.generator, self.discriminator = generator, discriminator
        self.adversary = Adversary(loss, penalties, {"discriminator": discriminator})
        self.prior, self.augment, self.project, self.n_critic = prior, augment, project, n_critic

    def phases(self) -> Sequence[Phase]:
        return [Phase("discriminator", self.d_terms), Phase("generator", self.g_terms, every=self.n_critic)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator if phase == "discriminator" else self.generator]

    def draw(self, batch: Batch, noise: Noise) -> Drawn:
        return {"fake": self.generator(self.prior(noise, len(batch["image"])))}

    def critic(self, images: Tensor, batch: Batch, noise: Noise) -> Tensor:
        """What the discriminator says of images: logits in float32, whatever the precision of the networks."""
        if self.augment is not None:
            images = self.augment(images, noise)
        return self.discriminator(images).float()

    def d_terms(self, batch: Batch, drawn: Drawn, noise: Noise) -> Terms:
        return self.adversary.d(self._shown(batch, noise), batch["image"], drawn["fake"], noise, self.iteration)

    def g_terms(self, batch: Batch, drawn: Drawn, noise: Noise) -> Terms:
        return Terms({"adversarial": self.adversary.g(self._shown(batch, noise), drawn["fake"], batch["image"])})

    def _shown(self, batch: Batch, noise: Noise) -> Critic:
        return lambda images: self.critic(images, batch, noise)

    def stepped(self, phase: str) -> None:
        if phase == "discriminator" and self.project is not None:
            self.project(self.discriminator)

    def compilable(self) -> Sequence[nn.Module]:
        return [self.generator] if self.adversary.differentiates_twice else [self.generator, self.discriminator]

    # Capabilities: Samples, Decodes.

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0) -> Tensor:
        """Latents (n, Z) of samples start … start + n - 1 of the seed, shrunk towards the prior's mean."""
        return truncation * numbered(lambda noise: self.prior(noise, 1), n, seed, start).to(self.device)

    @torch.no_grad()
    def decode(self, latents: Tensor, label: int | Tensor | None = None) -> Tensor:
        """Latents (n, Z) → images in [-1, 1], by the averaged generator in float32."""
        if label is not None:
            raise UserError("This model was trained without labels: sample it without label=.")
        with torch.autocast(self.device.type, enabled=False), full_precision():
            return self._averaged("generator")(latents.to(self.device)).float()

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        return self.decode(self.latents(n, seed, start, truncation), label)

    def _averaged(self, name: str) -> nn.Module:
        assert self.ema is not None
        return self.ema.networks[name]
