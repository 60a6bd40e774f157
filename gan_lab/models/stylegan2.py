"""StyleGAN2 (Karras et al. 2020): style mixing, noise in every layer, and path length regularisation."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, NonNegative, PositiveInt, Probability
from gan_lab.common.capabilities import LayerNoise
from gan_lab.common.distributed import all_reduce_mean
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import bounded
from gan_lab.common.types import Batch, Losses, RandomStream, Shared
from gan_lab.losses.objective import AdversarialObjective, in_float32, uncompiled
from gan_lab.models.bases.gan import Augmentations, GANModule, Wrappers
from gan_lab.models.bases.labels import Label
from gan_lab.models.bases.latents import Prior, draw_per_sample
from gan_lab.networks.stylegan2 import Generator
from gan_lab.training.alternating import MakeOptimizer
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.options import EngineOptions

AVERAGE_DECAY = 0.995
"""Decay of the average style in an iteration, as in the published code."""
LENGTH_DECAY = 0.99
"""Decay of the average path length in an evaluation (appendix B)."""


class StyleGAN2(GANModule):
    """A style-based generator. Samples have its constant noise; ``truncation`` moves styles to their average.

    Penalties are parts of a step here. In the published code they are steps of their own, for which it reduces learning
    rates and Adam's betas.

    Args:
        generator: a ``gan_lab.networks.stylegan2.Generator``.
        discriminator, prior, objective, g_optimizer, d_optimizer: see ``GANModule``.
        classes, augment, wrappers, replay_pool, new_batch_for_generator, engine: see ``GANModule``.
        mixing: probability that the styles of an image change at a random layer from those of one latent to those of
            another (Karras et al. 2019, section 3.1).
        path_length: weight of the path length penalty (section 3.2, eq. 4); 0 leaves it out.
        path_length_interval: iterations between two evaluations of the penalty; it multiplies the weight.
        path_length_share: the penalty is computed for 1 / ``path_length_share`` of the batch.

    Raises:
        UserError: for another generator.
    """

    average_length: Tensor

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        classes: Natural = 0,
        mixing: Probability = 0.9,
        path_length: NonNegative = 2.0,
        path_length_interval: PositiveInt = 4,
        path_length_share: PositiveInt = 2,
        augment: Augmentations | None = None,
        wrappers: Wrappers | None = None,
        replay_pool: ImagePool | None = None,
        new_batch_for_generator: bool = False,
        engine: EngineOptions | None = None,
    ) -> None:
        if not isinstance(generator, Generator):
            raise UserError("StyleGAN2 mixes the styles of its own generator: leave network= out.")
        super().__init__(
            generator, discriminator, prior, objective, g_optimizer, d_optimizer, classes, augment, wrappers,
            replay_pool, new_batch_for_generator, engine,
        )  # fmt: skip
        self.mixing, self.path_length = mixing, path_length
        self.path_length_interval, self.path_length_share = path_length_interval, path_length_share
        self.register_buffer("average_length", torch.zeros(()))

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        generator, styles = cast(Generator, self.generator), self.draw_styles(batch, len(batch["image"]), noise)
        fake = generator.synthesis(styles, self.layer_noise(len(styles), noise))
        return {"fake": fake, "style": styles[:, 0].detach().float().mean(0)}

    def draw_styles(self, batch: Batch, n: int, noise: RandomStream) -> Tensor:
        """Returns the styles of all layers (n, L, W), with the labels of every (N / n)-th image of the batch."""
        generator = cast(Generator, self.generator)
        labels = [each[:: len(each) // n][:n] for each in self.condition(batch)]
        own, other = (generator.mapping(self.prior(noise, n), *labels)[:, None] for _ in range(2))
        layers, mixes = generator.num_styles, noise.uniform(n) < self.mixing
        begin = torch.where(mixes, 1 + noise.integers(n, layers - 1), layers)
        return torch.where((torch.arange(layers, device=begin.device) < begin[:, None])[:, :, None], own, other)

    def layer_noise(self, n: int, noise: RandomStream) -> Sequence[Tensor]:
        """Returns the noise of each layer, (n, 1, h, w)."""
        return [noise.normal(n, 1, *size) for size in cast(Generator, self.generator).noise_sizes]

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the adversarial loss and, where it is due, the path length penalty."""
        losses = super().g_losses(batch, shared, noise)
        self._follow(cast(Generator, self.generator).average_style, shared["style"], AVERAGE_DECAY)
        steps = self.iteration // self.objective.n_critic
        if not self.path_length or steps % self.path_length_interval:
            return losses
        lengths = self.path_lengths(batch, noise)
        mean = self._follow(self.average_length, lengths.mean(), LENGTH_DECAY)
        penalty = (lengths - self.average_length).square().mean()
        terms = {"path_length": self.path_length * self.path_length_interval * penalty}
        return Losses({**losses.terms, **terms}, {**losses.logs, "length": mean})

    @torch.no_grad()
    def _follow(self, average: Tensor, value: Tensor, decay: float) -> Tensor:
        """Moves an average towards the mean of a value over ranks, by a part for each micro-batch; returns the mean."""
        mean = all_reduce_mean(value.detach())
        average.lerp_(mean, (1 - decay) / self.engine.micro_batches)
        return mean

    def path_lengths(self, batch: Batch, noise: RandomStream) -> Tensor:
        """Returns ‖Jᵀy‖ of new images with respect to their styles (n,), for random images y; differentiable."""
        n = max(1, len(batch["image"]) // self.path_length_share)
        with uncompiled(), in_float32(batch["image"]):
            styles = self.draw_styles(batch, n, noise)
            images = cast(Generator, self.generator).synthesis(styles, self.layer_noise(n, noise))
            y = noise.normal(*images.shape) / images[0, 0].numel() ** 0.5
            (slopes,) = torch.autograd.grad((images * y).sum(), styles, create_graph=True)
        return slopes.square().sum(2).mean(1).sqrt()

    def modules_to_compile(self) -> Sequence[nn.Module]:
        """Returns the networks; where path lengths are differentiated, the generator runs as it is."""
        return [cast(Generator, self.generator).synthesis, self.discriminator]

    # Capabilities.

    @property
    def num_styles(self) -> int:
        """Number of styles of an image."""
        return cast(Generator, self.generator).num_styles

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: Label = None) -> Tensor:
        """Returns latents (n, Z) of samples start … start + n - 1 of the seed; the label is not used.

        Raises:
            UserError: for a truncation, which is one of styles here.
        """
        if truncation != 1:
            raise UserError("StyleGAN2 truncates styles, not latents: leave truncation= out, or give it to map_styles.")
        return super().latents(n, seed, start)

    def map_styles(
        self, latents: Tensor, label: Label = None, truncation: float | Tensor = 1.0, cutoff: int | None = None
    ) -> Tensor:
        """Maps latents (n, Z) to styles (n, L, W); of class 0 if the label is None (see ``Styles``).

        Raises:
            UserError: for a label that the model does not know.
        """
        generator, labels = self._generator, self.labels.expand(label, len(latents), self.device)
        with self.inference_mode():
            styles: Tensor = generator.mapping(latents.to(self.device), *labels)[:, None].repeat(1, self.num_styles, 1)
            if isinstance(truncation, Tensor) or truncation != 1:
                moved = generator.average_style.lerp(styles[:, :cutoff], truncation)
                styles = torch.cat([moved, styles[:, moved.shape[1] :]], 1)
        return styles

    @property
    def noise_sizes(self) -> list[tuple[int, int]]:
        """Height and width of each layer's noise."""
        return self._generator.noise_sizes

    def synthesize(
        self, styles: Tensor, noise: LayerNoise | Sequence[Tensor] = "constant", seed: int = 0, start: int = 0
    ) -> Tensor:
        """Maps styles (n, L, W) to images (n, C, H, W) in [-1, 1], float32 (see ``Styles``)."""
        generator, n, maps = self._generator, len(styles), None
        if not isinstance(noise, str):
            maps = [each.to(self.device) for each in noise]
        elif noise == "none":
            maps = [torch.zeros(1, 1, *size, device=self.device) for size in generator.noise_sizes]
        elif noise == "random":
            rows = draw_per_sample(lambda stream: self._flat_noise(generator, stream), n, seed, start, "layer noise")
            parts = rows.to(self.device).split([h * w for h, w in generator.noise_sizes], 1)
            maps = [part.view(n, 1, *size) for part, size in zip(parts, generator.noise_sizes, strict=True)]
        with self.inference_mode():
            return bounded(generator.synthesis(styles.to(self.device), maps))

    def decode(self, latents: Tensor, label: Label = None) -> Tensor:
        """Returns images (n, C, H, W) in [-1, 1], float32, given latents (n, Z); of class 0 if the label is None."""
        return self.synthesize(self.map_styles(latents, label))

    def sample(self, n: int, seed: int = 0, start: int = 0, label: Label = None, truncation: float = 1.0) -> Tensor:
        """Returns samples (n, C, H, W); if the label is None, sample i of a conditional model has class i mod K."""
        labels = self.labels.cyclic(label, n, start)
        return self.synthesize(self.map_styles(self.latents(n, seed, start), labels, truncation))

    @property
    def _generator(self) -> Generator:
        """The generator that samples come from."""
        return cast(Generator, self.averaged("generator"))

    @staticmethod
    def _flat_noise(generator: Generator, noise: RandomStream) -> Tensor:
        """Returns the noise of all layers of a sample, (1, numbers)."""
        return torch.cat([noise.normal(1, h * w) for h, w in generator.noise_sizes], 1)
