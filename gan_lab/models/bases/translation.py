"""What methods that carry pictures from one domain to another share: networks by direction, and translating."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.precision import full_precision
from gan_lab.losses.objective import AdversarialLoss, AdversarialObjective, Penalty
from gan_lab.networks.layers import Dropout
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.ema import EMA
from gan_lab.training.noise import seed_of
from gan_lab.training.schedules import Schedule


class TranslationModule(AlternatingModule):
    """Translates with one generator or two, each against critics; satisfies ``gan_lab.common.capabilities.Translates``.

    Players are the phases ``critic`` and ``generator``; methods state their order and terms.

    Args:
        generators: networks by direction, "a2b" and, where the method knows the way back, "b2a".
        critics: discriminators by the names the method gives them.
        domains: what the pictures of "a" and "b" are: ``gan_lab.common.domains.Domain``'s arguments.
        loss, penalties: the adversarial objective.
        g_optimizer, d_optimizer: parameters → optimizer.
        project: applied to the critics after each of their steps.
        n_critic: critic steps for each step of the generators.
        schedule: share of the budget used → factor on both learning rates.
        ema_half_life: of the averaged generators that translate, in images; None translates with the live ones, as
            the papers do.
        dropout_at_test: whether dropout stays on when translating (pix2pix's only source of chance).
        batch_statistics_at_test: whether batch norm takes each picture's own statistics, as pix2pix does.
        core: what ``AlternatingModule`` takes.
    """

    def __init__(
        self,
        generators: Mapping[str, nn.Module],
        critics: Mapping[str, nn.Module],
        domains: Mapping[str, Mapping[str, int]],
        loss: AdversarialLoss,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        penalties: Mapping[str, Penalty | None] | None = None,
        project: Callable[[nn.Module], None] | None = None,
        n_critic: int = 1,
        schedule: Schedule | None = None,
        ema_half_life: float | None = None,
        dropout_at_test: bool = False,
        batch_statistics_at_test: bool = False,
        **core: Any,
    ) -> None:
        super().__init__(
            optimizers={"critic": d_optimizer, "generator": g_optimizer},
            ema=None if ema_half_life is None else EMA(generators, ema_half_life),
            schedules={"critic.lr": schedule, "generator.lr": schedule},
            **core,
        )
        for name, network in {**generators, **critics}.items():
            self.add_module(name, network)
        self.objective = AdversarialObjective(loss, penalties, critics)
        self.domains = {side: Domain(**dict(domains[side])) for side in ("a", "b")}
        self.directions, self.critics = tuple(generators), tuple(critics)
        self.project, self.n_critic = project, n_critic
        self.inference_options = {"dropout": dropout_at_test, "batch_statistics": batch_statistics_at_test}

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        names = self.critics if phase == "critic" else self.directions
        return [getattr(self, name) for name in names]

    def after_step(self, phase: str) -> None:
        if phase == "critic" and self.project is not None:
            for critic in self.trainable("critic"):
                self.project(critic)

    def modules_to_compile(self) -> Sequence[nn.Module]:
        critics = [] if self.objective.differentiates_twice else self.critics
        return [getattr(self, name) for name in (*self.directions, *critics)]

    def set_inference_options(self, dropout: bool | None = None, batch_statistics: bool | None = None) -> None:
        """Turns on or off what else than a network's evaluation mode goes on when it translates; None leaves it."""
        asked = {"dropout": dropout, "batch_statistics": batch_statistics}
        self.inference_options |= {name: value for name, value in asked.items() if value is not None}

    # The capability Translates.

    @property
    def multiple(self) -> int:
        """Sides of the pictures must be multiples of it."""
        return max(int(getattr(getattr(self, name), "multiple", 1)) for name in self.directions)

    def translator(self, to: str) -> nn.Module:
        """The generator that makes pictures of domain ``to``, averaged where the model keeps an average.

        Raises:
            UserError: for a direction that the model does not know.
        """
        name = {"a": "b2a", "b": "a2b"}.get(to, to)
        if name not in self.directions:
            raise UserError(f"This {type(self).__name__} translates {' and '.join(self.directions)}, not to {to!r}.")
        return self.averaged(name)

    @torch.no_grad()
    def translate(self, image: Tensor, to: str, seed: int = 0, start: int = 0) -> Tensor:
        """Pictures (N, C, H, W) as a network sees them → the same in domain ``to``, float32, by the rules of a test."""
        network, image = self.translator(to), image.to(self.device)
        chance = self.inference_options["dropout"] and any(isinstance(module, Dropout) for module in network.modules())
        mixes = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())
        with torch.autocast(self.device.type, enabled=False), full_precision():
            if not chance and not (mixes and self.inference_options["batch_statistics"]):
                with eval_mode(network):
                    return network(image).float()
            made = []
            for number, picture in enumerate(image.split(1), start):
                key = seed_of(seed, number, "translate") if chance else None
                with eval_mode(network, key, self.inference_options["batch_statistics"]):
                    made.append(network(picture).float())
            return torch.cat(made)

    # The capability Judges.

    @property
    def discriminated(self) -> Sequence[str]:
        """The domains that have a critic."""
        return ("a", "b") if len(self.critics) > 1 else ("b",)

    @property
    def decision_threshold(self) -> float | None:
        return self.objective.loss.decision_threshold

    def discriminator_input(self, image: Tensor, source: Tensor) -> Tensor:
        """What a critic sees of pictures and of what they were made from: the pictures alone."""
        return image

    @torch.no_grad()
    def logits(self, image: Tensor, of: str, source: Tensor) -> Tensor:
        critic = getattr(self, self.critics[self.discriminated.index(of)])
        image, source = image.to(self.device), source.to(self.device)
        with torch.autocast(self.device.type, enabled=False), full_precision(), eval_mode(critic):
            logits: Tensor = critic(self.discriminator_input(image, source)).float()
        return logits


@contextlib.contextmanager
def eval_mode(network: nn.Module, dropout: int | None = None, batch_statistics: bool = False) -> Iterator[None]:
    """The network in evaluation mode, but for what is asked; nothing of it is changed for good.

    Args:
        dropout: a seed with which dropout (``gan_lab.networks.layers.Dropout``) stays on.
        batch_statistics: batch norms use what they are given, and leave their running statistics as they are.
    """
    generator = None if dropout is None else torch.Generator().manual_seed(dropout)
    before = [(module, module.training) for module in network.modules()]
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and batch_statistics]
    tracked = [norm.track_running_stats for norm in norms]
    network.eval()
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    drops = [module for module in network.modules() if isinstance(module, Dropout)]
    for drop in drops:
        drop.generator = generator
    try:
        yield
    finally:
        for norm, tracks in zip(norms, tracked, strict=True):
            norm.track_running_stats = tracks
        for drop in drops:
            drop.generator = None
        for module, training in before:
            module.training = training
