"""MoCoGAN (Tulyakov et al. 2018): clips of one content code and a walk of motion codes, against two critics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.types import Batch, Losses, Phase, RandomStream, Shared
from gan_lab.losses.objective import AdversarialLoss, AdversarialObjective, Critic, Penalty
from gan_lab.models.bases.latents import draw_per_sample
from gan_lab.models.bases.sampling import SamplingModule
from gan_lab.training.alternating import MakeOptimizer, Stateful
from gan_lab.training.ema import EMA


class MoCoGAN(SamplingModule):
    """One critic looks at a frame of each clip, the other at the clip; satisfies ``gan_lab.common.capabilities.SamplesClips``.

    A conditional one makes each clip of the label of the real one beside it, which the critic of frames is told too.

    Args:
        generator: contents (N, Z) and noise (N, 1 + T, M) → frames (N, T, C, H, W).
        frame_critic: pictures (N, C, H, W) → logits.
        clip_critic: clips (N, T, C, H, W) → logits.
        content: Z.
        motion: M.
        loss, penalties: the adversarial objective of both.
        augment: by name, (pictures or clips, noise) → the same, in front of each critic, real and fake alike; null
            entries are left out.
        g_optimizer, d_optimizer: parameters → optimizer.
        project: applied to both critics after each of their steps (weight clipping).
        n_critic: critics' steps for each of the generator's.
        ema_half_life: of the generator's average, in images.
        ema_ramp: its upper bound as a share of the images seen; None sets none.
        core: what ``SamplingModule`` takes.
    """

    shares_graph = "generator"

    def __init__(
        self,
        generator: nn.Module,
        frame_critic: nn.Module,
        clip_critic: nn.Module,
        content: int,
        motion: int,
        loss: AdversarialLoss,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        penalties: Mapping[str, Penalty | None] | None = None,
        augment: Mapping[str, Callable[[Tensor, RandomStream], Tensor] | None] | None = None,
        project: Callable[[nn.Module], None] | None = None,
        n_critic: int = 1,
        ema_half_life: float = 10_000,
        ema_ramp: float | None = 0.05,
        **core: Any,
    ) -> None:
        optimizers = {"critics": d_optimizer, "generator": g_optimizer}
        super().__init__(optimizers=optimizers, ema=EMA({"generator": generator}, ema_half_life, ema_ramp), **core)
        self.generator, self.frame_critic, self.clip_critic = generator, frame_critic, clip_critic
        self.content, self.motion, self.n_critic, self.project = content, motion, n_critic, project
        self.augment = {name: each for name, each in (augment or {}).items() if each is not None}
        self.objective = AdversarialObjective(
            loss, penalties, {"frame critic": frame_critic, "clip critic": clip_critic}
        )

    def phases(self) -> Sequence[Phase]:
        return [Phase("critics", self.d_losses), Phase("generator", self.g_losses, self.n_critic)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.generator] if phase == "generator" else [self.frame_critic, self.clip_critic]

    def shared_forward(self, batch: Batch, noise: RandomStream) -> Shared:
        n, steps = batch["frames"].shape[:2]
        codes = noise.normal(n, self.content), noise.normal(n, 1 + steps, self.motion)
        return {"fake": self.generator(*codes, *self.condition(batch)), "at": noise.integers(n, steps)}

    def d_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        """Of both critics (eq. 3)."""
        terms: dict[str, Tensor] = {}
        logs: dict[str, Tensor] = {}
        for name, (critic, real, fake) in self._judged(batch, shared, noise).items():
            losses = self.objective.d(critic, real, fake, noise, self.iteration)
            terms |= {f"{key}_{name}": loss for key, loss in losses.terms.items()}
            logs |= {f"{key}_{name}": log for key, log in losses.logs.items()}
        return Losses(terms, logs)

    def g_losses(self, batch: Batch, shared: Shared, noise: RandomStream) -> Losses:
        judged = self._judged(batch, shared, noise).items()
        return Losses(
            {f"adversarial_{name}": self.objective.g(critic, fake, real) for name, (critic, real, fake) in judged}
        )

    def _judged(self, batch: Batch, shared: Shared, noise: RandomStream) -> dict[str, tuple[Critic, Tensor, Tensor]]:
        """Each critic with what it sees, real and made: one frame of each clip, by chance, and the whole clip."""
        real, fake, rows = batch["frames"], shared["fake"], torch.arange(len(shared["at"]), device=shared["at"].device)
        frames = real[rows, shared["at"]], fake[rows, shared["at"]]
        frame_critic = self._shown(self.frame_critic, noise, *self.condition(batch))
        return {"frame": (frame_critic, *frames), "clip": (self._shown(self.clip_critic, noise), real, fake)}

    def _shown(self, critic: nn.Module, noise: RandomStream, *labels: Tensor) -> Critic:
        """The critic behind what is done to all that it sees; logits in float32."""

        def said(shown: Tensor) -> Tensor:
            for each in self.augment.values():
                shown = each(shown, noise)
            logits: Tensor = critic(shown, *labels).float()
            return logits

        return said

    def after_step(self, phase: str) -> None:
        if phase == "critics" and self.project is not None:
            self.project(self.frame_critic)
            self.project(self.clip_critic)

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state()

    def modules_to_compile(self) -> Sequence[nn.Module]:
        critics = [] if self.objective.differentiates_twice else [self.frame_critic, self.clip_critic]
        return [self.generator, *critics]

    def sample_clips(
        self,
        n: int,
        steps: int,
        seed: int = 0,
        start: int = 0,
        motion: int | None = None,
        label: int | Tensor | None = None,
    ) -> Tensor:
        """Of n clips any number of frames; contents are theirs, and the motion too unless it is given. Without a label,
        clip i of a conditional model is of class i mod K.

        Raises:
            UserError: for a label that the model does not know.
        """
        labels = self.expand_labels(self.cyclic_labels(label, n, start), n)
        who = (n, seed, start) if motion is None else (1, seed, motion)
        steps_of = [
            draw_per_sample(lambda noise: noise.normal(1, self.motion), *who, f"motion {t}") for t in range(1 + steps)
        ]
        noise = torch.stack(steps_of, 1).expand(n, -1, -1).to(self.device)
        content = draw_per_sample(lambda noise: noise.normal(1, self.content), n, seed, start, "content").to(
            self.device
        )
        with self.inference_mode():
            made: Tensor = self.averaged("generator")(content, noise, *labels)
            return made.float().clamp(-1, 1)
