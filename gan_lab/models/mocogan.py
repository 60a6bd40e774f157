"""MoCoGAN (Tulyakov et al. 2018): clips from one content code and a sequence of motion codes."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared, Stateful
from gan_lab.losses.objective import AdversarialObjective, Discriminator
from gan_lab.models.bases.gan import Augmentations
from gan_lab.models.bases.labels import Label, Labels
from gan_lab.models.bases.latents import draw_per_sample
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.augment import apply_in_order
from gan_lab.training.options import EngineOptions


class DiscriminatorInput(NamedTuple):
    """A discriminator with the real and the generated images or clips that it sees."""

    discriminator: Discriminator
    real: Tensor
    fake: Tensor


class MoCoGAN(AlternatingModule):
    """One discriminator sees a frame of each clip, the other the whole clip. Satisfies ``SamplesClips``.

    A conditional model generates clip i with the label of real clip i, which the discriminator of frames takes too.
    Phases: both discriminators, then the generator.

    Args:
        generator: contents (N, Z) and noise (N, 1 + T, M) → frames (N, T, C, H, W).
        frame_discriminator: images (N, C, H, W) → logits.
        clip_discriminator: clips (N, T, C, H, W) → logits.
        content: Z.
        motion: M.
        objective: adversarial loss and penalties of both discriminators.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        augment: augmentations, by name, of images or clips in front of each discriminator, for real and generated ones
            alike; null entries are skipped.
        classes: K of a conditional model; 0 for an unconditional one.
        engine: options that do not depend on the method.
    """

    shares_graph = "generator"

    def __init__(
        self,
        generator: nn.Module,
        frame_discriminator: nn.Module,
        clip_discriminator: nn.Module,
        content: PositiveInt,
        motion: PositiveInt,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        augment: Augmentations | None = None,
        classes: Natural = 0,
        engine: EngineOptions | None = None,
    ) -> None:
        super().__init__({"discriminators": d_optimizer, "generator": g_optimizer}, engine, {"generator": generator})
        self.generator = generator
        self.frame_discriminator, self.clip_discriminator = frame_discriminator, clip_discriminator
        self.content, self.motion, self.objective = content, motion, objective
        self.augment = {name: change for name, change in (augment or {}).items() if change is not None}
        self.labels, self.classes = Labels(classes), classes
        objective.check({"frame discriminator": frame_discriminator, "clip discriminator": clip_discriminator})

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("discriminators", self.d_losses, stream="critics"),
            Phase("generator", self.g_losses, self.objective.n_critic),
        ]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.generator] if phase == "generator" else [self.frame_discriminator, self.clip_discriminator]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        n, steps = batch["frames"].shape[:2]
        codes = noise.normal(n, self.content), noise.normal(n, 1 + steps, self.motion)
        return {"fake": self.generator(*codes, *self.labels.condition(batch)), "at": noise.integers(n, steps)}

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the losses of both discriminators (eq. 3)."""
        inputs = self.discriminator_inputs(batch, shared, noise)
        return Losses.joined({name: self.objective.d(*seen, noise, self.iteration) for name, seen in inputs.items()})

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Returns the generator's loss against each discriminator (eq. 3)."""
        inputs = self.discriminator_inputs(batch, shared, noise).items()
        return Losses({f"adversarial_{name}": self.objective.g(d, fake, real) for name, (d, real, fake) in inputs})

    def discriminator_inputs(self, batch: Batch, shared: Shared, noise: RandomStream) -> dict[str, DiscriminatorInput]:
        """Returns the inputs of each discriminator: a random frame of each clip, and the whole clips."""
        real, fake, at = batch["frames"], shared["fake"], shared["at"]
        rows = torch.arange(len(at), device=at.device)
        of_frames = partial(self.discriminate, self.frame_discriminator, noise, self.labels.condition(batch))
        of_clips = partial(self.discriminate, self.clip_discriminator, noise, ())
        return {
            "frame": DiscriminatorInput(of_frames, real[rows, at], fake[rows, at]),
            "clip": DiscriminatorInput(of_clips, real, fake),
        }

    def discriminate(self, network: nn.Module, noise: RandomStream, labels: Sequence[Tensor], images: Tensor) -> Tensor:
        """Returns logits, float32, after augmentation.

        Args:
            network: one of the discriminators.
            noise: random numbers of the turn.
            labels: extra network inputs, ``(labels,)`` with (N,), or ``()``.
            images: images (N, C, H, W), or clips (N, T, C, H, W).
        """
        logits: Tensor = network(apply_in_order(self.augment.values(), images, noise), *labels)
        return logits.float()

    def after_step(self, phase: str) -> None:
        if phase == "discriminators":
            self.objective.project(self.frame_discriminator, self.clip_discriminator)

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state()

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [self.generator, self.frame_discriminator, self.clip_discriminator]

    @property
    def num_labels(self) -> int:
        """Number of labels to choose among when sampling, 0 without labels."""
        return self.labels.classes

    def sample_clips(
        self, n: int, steps: int, seed: int = 0, start: int = 0, motion: int | None = None, label: Label = None
    ) -> Tensor:
        """Returns n clips (n, steps, C, H, W), each with its own content, and its own motion if ``motion`` is None.

        If the label is None, clip i of a conditional model has class i mod K.

        Raises:
            UserError: for a label that the model does not know.
        """
        labels = self.labels.of_samples(label, n, start, self.device)
        return self.decode_clips(*self.clip_codes(n, steps, seed, start, motion), *labels)

    def clip_codes(
        self, n: int, steps: int, seed: int = 0, start: int = 0, motion: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns contents (n, Z) and noise of the motion (n, 1 + steps, M) of clips start … start + n - 1."""
        moving = (n, seed, start) if motion is None else (1, seed, motion)
        noise = [
            draw_per_sample(lambda noise: noise.normal(1, self.motion), *moving, f"motion {t}")
            for t in range(1 + steps)
        ]
        content = draw_per_sample(lambda noise: noise.normal(1, self.content), n, seed, start, "content")
        return content.to(self.device), torch.stack(noise, 1).expand(n, -1, -1).to(self.device)

    def decode_clips(self, content: Tensor, motion: Tensor, label: Label = None) -> Tensor:
        """Returns clips (n, T, C, H, W), given contents (n, Z) and noise (n, 1 + T, M); of class 0 if label is None."""
        labels = self.labels.expand(label, len(content), self.device)
        with self.inference_mode():
            clips: Tensor = self.averaged("generator")(content.to(self.device), motion.to(self.device), *labels)
            return clips.float().clamp(-1, 1)
