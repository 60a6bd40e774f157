"""MoCoGAN (Tulyakov et al. 2018): clips of one content code and a walk of motion codes, against two critics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.types import Batch, Drawn, Noise, Phase, Terms
from gan_lab.losses.objective import AdversarialLoss, Adversary, Critic, Penalty
from gan_lab.models.bases.latents import numbered
from gan_lab.models.bases.sampling import SamplingModule
from gan_lab.training.alternating import MakeOptimizer, Remembers
from gan_lab.training.ema import EMA


class MoCoGAN(SamplingModule):
    """One critic looks at a frame of each clip, the other at the clip; satisfies ``gan_lab.common.capabilities.Animates``.

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
        augment: Mapping[str, Callable[[Tensor, Noise], Tensor] | None] | None = None,
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
        self.adversary = Adversary(loss, penalties, {"frame critic": frame_critic, "clip critic": clip_critic})

    def phases(self) -> Sequence[Phase]:
        return [Phase("critics", self.d_terms), Phase("generator", self.g_terms, self.n_critic)]

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.generator] if phase == "generator" else [self.frame_critic, self.clip_critic]

    def draw(self, batch: Batch, noise: Noise) -> Drawn:
        n, steps = batch["frames"].shape[:2]
        codes = noise.normal(n, self.content), noise.normal(n, 1 + steps, self.motion)
        return {"fake": self.generator(*codes, *self.told(batch)), "at": noise.integers(n, steps)}

    def d_terms(self, batch: Batch, drawn: Drawn, noise: Noise) -> Terms:
        """Of both critics (eq. 3)."""
        losses: dict[str, Tensor] = {}
        logs: dict[str, Tensor] = {}
        for name, (critic, real, fake) in self._judged(batch, drawn, noise).items():
            terms = self.adversary.d(critic, real, fake, noise, self.iteration)
            losses |= {f"{key}_{name}": loss for key, loss in terms.losses.items()}
            logs |= {f"{key}_{name}": log for key, log in terms.logs.items()}
        return Terms(losses, logs)

    def g_terms(self, batch: Batch, drawn: Drawn, noise: Noise) -> Terms:
        judged = self._judged(batch, drawn, noise).items()
        return Terms(
            {f"adversarial_{name}": self.adversary.g(critic, fake, real) for name, (critic, real, fake) in judged}
        )

    def _judged(self, batch: Batch, drawn: Drawn, noise: Noise) -> dict[str, tuple[Critic, Tensor, Tensor]]:
        """Each critic with what it sees, real and made: one frame of each clip, by chance, and the whole clip."""
        real, fake, rows = batch["frames"], drawn["fake"], torch.arange(len(drawn["at"]), device=drawn["at"].device)
        frames = real[rows, drawn["at"]], fake[rows, drawn["at"]]
        frame_critic = self._shown(self.frame_critic, noise, *self.told(batch))
        return {"frame": (frame_critic, *frames), "clip": (self._shown(self.clip_critic, noise), real, fake)}

    def _shown(self, critic: nn.Module, noise: Noise, *labels: Tensor) -> Critic:
        """The critic behind what is done to all that it sees; logits in float32."""

        def said(shown: Tensor) -> Tensor:
            for each in self.augment.values():
                shown = each(shown, noise)
            logits: Tensor = critic(shown, *labels).float()
            return logits

        return said

    def stepped(self, phase: str) -> None:
        if phase == "critics" and self.project is not None:
            self.project(self.frame_critic)
            self.project(self.clip_critic)

    def memories(self) -> Mapping[str, Remembers]:
        return self.adversary.memories()

    def compilable(self) -> Sequence[nn.Module]:
        critics = [] if self.adversary.differentiates_twice else [self.frame_critic, self.clip_critic]
        return [self.generator, *critics]

    def animate(
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
        labels = self.labelled(self.in_turn(label, n, start), n)
        who = (n, seed, start) if motion is None else (1, seed, motion)
        steps_of = [numbered(lambda noise: noise.normal(1, self.motion), *who, f"motion {t}") for t in range(1 + steps)]
        noise = torch.stack(steps_of, 1).expand(n, -1, -1).to(self.device)
        content = numbered(lambda noise: noise.normal(1, self.content), n, seed, start, "content").to(self.device)
        with self.at_rest():
            made: Tensor = self.averaged("generator")(content, noise, *labels)
            return made.float().clamp(-1, 1)
