"""The GAN (Goodfellow et al. 2014), conditional or not: most methods are a configuration of it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural
from gan_lab.common.deprecation import accept_old_attributes
from gan_lab.common.distributed import all_reduce_mean
from gan_lab.common.errors import UserError
from gan_lab.common.gradients import bounded
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared, Stateful
from gan_lab.losses.objective import AdversarialObjective, OfImages
from gan_lab.models.bases.labels import Label, Labels
from gan_lab.models.bases.latents import Prior, sample_latents
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.augment import Adaptive, Augmentation, apply_in_order
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.options import EngineOptions
from gan_lab.training.turns import Outputs

Augmentations = Mapping[str, Augmentation | None]
Wrappers = Mapping[str, Mapping[str, Callable[[nn.Module], nn.Module] | None]]


class GANModule(AlternatingModule):
    """A generator and a discriminator, trained in turn. Satisfies ``Samples`` and ``Traverses``, by its average, and
    ``HasDiscriminator``.

    Methods override ``shared_forward``, ``discriminate``, ``d_losses`` or ``g_losses``. A conditional model generates
    sample i with the label of real image i.

    Args:
        generator: latents (N, Z) → images (N, C, H, W) in [-1, 1].
        discriminator: images (N, C, H, W) → logits, of any shape with N first.
        prior: distribution of the latents.
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        classes: K of a conditional model, whose networks take labels (N,) as well; 0 for an unconditional one.
        augment: augmentations, by name, in front of the discriminator, for real and generated images alike; null
            entries are skipped.
        wrappers: for "generator" and "discriminator", by name, functions that change the network and return it
            (``spectral_norm``, ``minibatch_stddev``); null entries are skipped.
        replay_pool: mixes earlier fakes into those that the discriminator sees.
        new_batch_for_generator: gives the generator's phase real images of its own, instead of those that the
            discriminator has just stepped on.
        engine: options that do not depend on the method.

    Raises:
        UserError: for a per-sample penalty on a discriminator with batch normalisation, which mixes samples, and for a
            replay pool in a model that would have to know the labels of earlier fakes.
    """

    shares_graph = "generator"
    supports_replay = True
    """True if the discriminator can judge a fake without knowing what it was generated from."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        classes: Natural = 0,
        augment: Augmentations | None = None,
        wrappers: Wrappers | None = None,
        replay_pool: ImagePool | None = None,
        new_batch_for_generator: bool = False,
        engine: EngineOptions | None = None,
    ) -> None:
        generator = _wrap(generator, (wrappers or {}).get("generator", {}))
        discriminator = _wrap(discriminator, (wrappers or {}).get("discriminator", {}))
        super().__init__({"discriminator": d_optimizer, "generator": g_optimizer}, engine, {"generator": generator})
        self.generator, self.discriminator = generator, discriminator
        accept_old_attributes("Prior", prior)
        self.prior, self.labels, self.classes = prior, Labels(classes), classes
        self.augment = {name: change for name, change in (augment or {}).items() if change is not None}
        self.replay_pool, self.new_batch = replay_pool, new_batch_for_generator
        self.objective = objective
        self.objective.check({"discriminator": discriminator})
        if replay_pool is not None and (classes or not self.supports_replay):
            raise UserError(
                f"A replay pool keeps no labels or codes of earlier fakes, and this {type(self).__name__} needs them: "
                "leave replay_pool out."
            )

    def phases(self) -> Sequence[Phase]:
        interval = self.objective.n_critic
        return [Phase("discriminator", self.d_losses), Phase("generator", self.g_losses, interval, self.new_batch)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator if phase == "discriminator" else self.generator]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"fake": self.generator(self.prior(noise, len(batch["image"])), *self.condition(batch))}

    def condition(self, batch: Batch) -> tuple[Tensor, ...]:
        """Returns the extra network inputs: ``(labels,)``, int64 (N,), for a conditional model, else ``()``."""
        return self.labels.condition(batch)

    def discriminate(self, images: Tensor, batch: Batch, noise: RandomStream) -> Tensor:
        """Returns the logits, float32, of images (N, C, H, W) after augmentation, with the labels of the batch."""
        return self.discriminator(self.apply_augmentations(images, noise), *self.condition(batch)).float()

    def apply_augmentations(self, images: Tensor, noise: RandomStream) -> Tensor:
        """Applies the augmentations to images (N, C, H, W)."""
        return apply_in_order(self.augment.values(), images, noise)

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the discriminator's losses."""
        fake = shared["fake"] if self.replay_pool is None else self.replay_pool.query(shared["fake"], noise)
        # Labels and augmentations belong to the images of one batch; a method of one's own may compare images.
        alone = not (self.classes or self.augment) and type(self).discriminate is GANModule.discriminate
        discriminator = (OfImages if alone else partial)(self.discriminate, batch=batch, noise=noise)
        return self.objective.d(discriminator, batch["image"], fake, noise, self.iteration)

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the generator's losses."""
        discriminator = partial(self.discriminate, batch=batch, noise=noise)
        return Losses({"adversarial": self.objective.g(discriminator, shared["fake"], batch["image"])})

    def after_step(self, phase: str) -> None:
        if phase == "discriminator":
            self.objective.project(self.discriminator)

    def after_iteration(self, outputs: Outputs, images: int) -> None:
        for name, augmentation in self.augment.items():
            if isinstance(augmentation, Adaptive):
                augmentation.follow(all_reduce_mean(outputs["discriminator"]["sign"]), images)
                self.recent["discriminator"][f"{name}_p"] = torch.tensor(augmentation.p, device=self.device)

    def extra_state(self) -> Mapping[str, Stateful]:
        pool: dict[str, Stateful] = {} if self.replay_pool is None else {"replay_pool": self.replay_pool}
        adaptive = {name: cast(Stateful, each) for name, each in self.augment.items() if isinstance(each, Adaptive)}
        return {**self.objective.extra_state(), **adaptive, **pool}

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.generator, self.discriminator]

    def generate(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """Returns images (n, C, H, W) by the averaged generator, given latents (n, Z) and labels (n,)."""
        images: Tensor = self.averaged("generator")(latents, *labels)
        return images

    def judge(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Returns the logits of images (N, C, H, W) without augmentation, given labels (N,)."""
        logits: Tensor = self.discriminator(images, *labels)
        return logits

    # Capabilities.

    def discriminator_logits(self, image: Tensor, label: Label = None) -> Tensor:
        """Returns logits, float32 (N, …), given images (N, C, H, W); of class 0 if the label is None.

        Raises:
            UserError: for a label that the model does not know.
        """
        labels = self.labels.expand(label, len(image), self.device)
        with self.inference_mode():
            return self.judge(image.to(self.device), *labels).float()

    @property
    def num_labels(self) -> int:
        """Number of labels to choose among when sampling, 0 without labels."""
        return self.labels.classes

    def latents(self, n: int, seed: int = 0, start: int = 0, truncation: float = 1.0, label: Label = None) -> Tensor:
        """Returns latents (n, Z) of samples start … start + n - 1 of the seed; the label is not used."""
        return sample_latents(self.prior, n, seed, start, truncation).to(self.device)

    def latent_range(self) -> Tensor:
        return torch.full((self.latents(1).shape[1],), self.prior.latent_range, device=self.device)

    def decode(self, latents: Tensor, label: Label = None) -> Tensor:
        """Returns images (n, C, H, W) in [-1, 1], float32, given latents (n, Z); of class 0 if the label is None.

        Raises:
            UserError: for a label that the model does not know.
        """
        labels = self.labels.expand(label, len(latents), self.device)
        with self.inference_mode():
            return bounded(self.generate(latents.to(self.device), *labels))

    def sample(self, n: int, seed: int = 0, start: int = 0, label: Label = None, truncation: float = 1.0) -> Tensor:
        """Returns samples (n, C, H, W); if the label is None, sample i of a conditional model has class i mod K."""
        return self.decode(self.latents(n, seed, start, truncation), self.labels.cyclic(label, n, start))


class FeatureDiscriminator(Protocol):
    """A discriminator in two parts, whose features an auxiliary head can read."""

    width: int
    """Number of features of an image."""

    def features(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Returns features (N, …), given images (N, C, H, W) and labels (N,)."""

    def logits(self, features: Tensor) -> Tensor:
        """Returns logits, of any shape with N first, given features (N, …)."""


class DiscriminatorWithHead:
    """The discriminator of a GAN with an auxiliary head over its features, in one turn.

    Args:
        gan: its discriminator is a ``FeatureDiscriminator``.
        head: features (N, width) → outputs.
        noise: random numbers of the turn.
    """

    def __init__(self, gan: GANModule, head: nn.Module, noise: RandomStream) -> None:
        self.gan, self.head, self.noise = gan, head, noise
        self.outputs: list[Tensor] = []
        """Output of the head, float32, in each call."""

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the logits, float32, of images (N, C, H, W)."""
        discriminator = cast(FeatureDiscriminator, self.gan.discriminator)
        features = discriminator.features(self.gan.apply_augmentations(images, self.noise))
        self.outputs.append(self.head(features.flatten(1)).float())
        return discriminator.logits(features).float()


def _wrap(network: nn.Module, wrappers: Mapping[str, Callable[[nn.Module], nn.Module] | None]) -> nn.Module:
    for wrapper in filter(None, wrappers.values()):
        network = wrapper(network)
    return network
