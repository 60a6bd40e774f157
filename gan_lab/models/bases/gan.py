"""The GAN (Goodfellow et al. 2014), whole, with labels or without: most methods are YAML over it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import AdversarialLoss, AdversarialObjective, Critic, Penalty
from gan_lab.models.bases.sampling import LatentModule, Prior
from gan_lab.training.alternating import MakeOptimizer, Stateful
from gan_lab.training.ema import EMA
from gan_lab.training.image_pool import ImagePool
from gan_lab.training.schedules import Schedule


class GANModule(LatentModule):
    """A generator and a discriminator, trained in turn; samples come from the generator's moving average.

    Methods override ``shared_forward``, ``critic``, ``d_losses`` or ``g_losses``. A conditional one makes each picture of the label
    of the real one beside it.

    Args:
        generator: latents (N, Z) → images (N, C, H, W) in [-1, 1].
        discriminator: images → logits, of any shape with N first.
        prior: random numbers → latents.
        loss: the adversarial objective on logits.
        g_optimizer, d_optimizer: parameters → optimizer.
        penalties: on the discriminator, by the name they are logged under; null entries are left out.
        classes: K of a conditional model, both of whose networks take labels (N,) as well; 0 of another.
        augment: by name, (images, noise) → images, in front of the discriminator, real and fake alike; null entries are
            left out.
        wrappers: for "generator" and "discriminator", by name, functions that change the network and return it
            (``spectral_norm``, ``minibatch_deviation``); null entries are left out.
        replay_pool: shows the discriminator earlier fakes as well; of models whose discriminator is told or reads no label.
        project: applied to the discriminator after each of its steps (weight clipping).
        n_critic: discriminator steps for each generator step.
        ema_half_life: of the generator's average, in images.
        ema_ramp: its upper bound as a share of the images seen; None sets none.
        schedule: share of the budget used → factor on both learning rates.
        schedules: of further quantities, see ``Scheduled``; of penalties and augmentations that are not there, or null,
            they are left out.
        new_batch_for_generator: whether the generator's turn has real pictures of its own, not those that the discriminator
            has just stepped on.
        core: what ``AlternatingModule`` takes.

    Raises:
        UserError: for a per-sample penalty over a discriminator with batch normalisation, which mixes samples, and for
            earlier fakes in a model that would have to know their labels.
    """

    shares_graph = "generator"
    replays = True
    """Whether the discriminator can judge fakes without knowing what they were made from."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        prior: Prior,
        loss: AdversarialLoss,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        penalties: Mapping[str, Penalty | None] | None = None,
        classes: int = 0,
        augment: Mapping[str, Callable[[Tensor, RandomStream], Tensor] | None] | None = None,
        wrappers: Mapping[str, Mapping[str, Callable[[nn.Module], nn.Module] | None]] | None = None,
        replay_pool: ImagePool | None = None,
        project: Callable[[nn.Module], None] | None = None,
        n_critic: int = 1,
        ema_half_life: float = 10_000,
        ema_ramp: float | None = 0.05,
        schedule: Schedule | None = None,
        schedules: Mapping[str, Schedule | None] | None = None,
        new_batch_for_generator: bool = False,
        **core: Any,
    ) -> None:
        generator, discriminator = (
            _wrapped(network, (wrappers or {}).get(name, {}))
            for name, network in (("generator", generator), ("discriminator", discriminator))
        )
        super().__init__(
            prior=prior,
            classes=classes,
            optimizers={"discriminator": d_optimizer, "generator": g_optimizer},
            ema=EMA({"generator": generator}, ema_half_life, ema_ramp),
            schedules={
                "discriminator.lr": schedule,
                "generator.lr": schedule,
                **_of_what_is_on(schedules or {}, {"augment": augment, "objective.penalties": penalties}),
            },
            **core,
        )
        self.generator, self.discriminator = generator, discriminator
        self.objective = AdversarialObjective(loss, penalties, {"discriminator": discriminator})
        self.augment = {name: each for name, each in (augment or {}).items() if each is not None}
        self.replay_pool, self.project, self.n_critic, self.new_batch = (
            replay_pool,
            project,
            n_critic,
            new_batch_for_generator,
        )
        if replay_pool is not None and (classes or not self.replays):
            raise UserError(
                f"Earlier fakes come without the labels or codes that this {type(self).__name__} judges them by: "
                "leave replay away."
            )

    def phases(self) -> Sequence[Phase]:
        return [Phase("discriminator", self.d_losses), Phase("generator", self.g_losses, self.n_critic, self.new_batch)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator if phase == "discriminator" else self.generator]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        return {"fake": self.generator(self.prior(noise, len(batch["image"])), *self.condition(batch))}

    def critic(self, images: Tensor, batch: Batch, noise: RandomStream) -> Tensor:
        """What the discriminator says of images: logits in float32, whatever the precision of the networks."""
        return self.discriminator(self.augmented(images, noise), *self.condition(batch)).float()

    def augmented(self, images: Tensor, noise: RandomStream) -> Tensor:
        for each in self.augment.values():
            images = each(images, noise)
        return images

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        fake = shared["fake"] if self.replay_pool is None else self.replay_pool.query(shared["fake"], noise)
        return self.objective.d(self._shown(batch, noise), batch["image"], fake, noise, self.iteration)

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        return Losses({"adversarial": self.objective.g(self._shown(batch, noise), shared["fake"], batch["image"])})

    def _shown(self, batch: Batch, noise: RandomStream) -> Critic:
        return lambda images: self.critic(images, batch, noise)

    def critic_and(self, head: nn.Module, found: list[Tensor], noise: RandomStream) -> Critic:
        """A critic that adds to ``found``, at each call, what the head makes of its features (N, width), in float32."""
        discriminator: Any = self.discriminator

        def critic(images: Tensor) -> Tensor:
            features = discriminator.features(self.augmented(images, noise))
            found.append(head(features.flatten(1)).float())
            logits: Tensor = discriminator.logits(features)
            return logits.float()

        return critic

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state() | ({} if self.replay_pool is None else {"replay_pool": self.replay_pool})

    def after_step(self, phase: str) -> None:
        if phase == "discriminator" and self.project is not None:
            self.project(self.discriminator)

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.generator] if self.objective.differentiates_twice else [self.generator, self.discriminator]

    def generate(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """By the averaged generator."""
        made: Tensor = self.averaged("generator")(latents, *labels)
        return made


def _of_what_is_on(
    schedules: Mapping[str, Schedule | None], places: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, Schedule | None]:
    """Without the schedules of parts that are null or that another loss does not have; places by their dotted path."""
    kept = dict(schedules)
    for place, parts in places.items():
        on = tuple(f"{place}.{name}." for name, part in (parts or {}).items() if part is not None)
        for name in [name for name in kept if name.startswith(f"{place}.") and not name.startswith(on)]:
            rank_zero_info(f"The schedule of {name} is left out: that part is switched off.")
            del kept[name]
    return kept


def _wrapped(network: nn.Module, wrappers: Mapping[str, Callable[[nn.Module], nn.Module] | None]) -> nn.Module:
    for wrap in filter(None, wrappers.values()):
        network = wrap(network)
    return network
