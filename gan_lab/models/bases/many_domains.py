"""Base of the methods that translate images among many domains, which are classes of the data."""

from collections.abc import Mapping, Sequence

from torch import nn

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.common.types import Stateful
from gan_lab.losses.objective import AdversarialObjective
from gan_lab.models.bases.labels import Labels
from gan_lab.training.alternating import AlternatingModule, MakeOptimizer
from gan_lab.training.options import EngineOptions


class ManyDomainsModule(AlternatingModule):
    """A generator among domains, with networks beside it, against a discriminator. A method states its phases.

    Args:
        players: what the phase "generator" trains, by the name of its attribute; the generator is one of them.
        discriminator: trained by the phase "discriminator".
        classes: K, the number of domains.
        objective: adversarial loss and penalties.
        g_optimizer, d_optimizer: functions from parameters to an optimizer.
        engine: options that do not depend on the method.

    Raises:
        UserError: for a single domain.
    """

    shares_graph = "generator"
    generator: nn.Module
    discriminator: nn.Module

    def __init__(
        self,
        players: Mapping[str, nn.Module],
        discriminator: nn.Module,
        classes: PositiveInt,
        objective: AdversarialObjective,
        g_optimizer: MakeOptimizer,
        d_optimizer: MakeOptimizer,
        engine: EngineOptions | None = None,
    ) -> None:
        if classes < 2:
            raise UserError(
                f"Translation among domains needs at least 2 of them, not {classes}: give data with classes."
            )
        super().__init__({"discriminator": d_optimizer, "generator": g_optimizer}, engine, players)
        for name, network in {**players, "discriminator": discriminator}.items():
            self.add_module(name, network)
        self.players, self.classes, self.labels = tuple(players), classes, Labels(classes)
        self.objective = objective
        self.objective.check({"discriminator": discriminator})

    def trainable(self, phase: str) -> Sequence[nn.Module]:
        return [self.discriminator] if phase == "discriminator" else [getattr(self, name) for name in self.players]

    def after_step(self, phase: str) -> None:
        if self.discriminator in self.trainable(phase):
            self.objective.project(self.discriminator)

    def extra_state(self) -> Mapping[str, Stateful]:
        return self.objective.extra_state()

    def modules_to_compile(self) -> Sequence[nn.Module]:
        return [*(getattr(self, name) for name in self.players), self.discriminator]

    @property
    def multiple(self) -> int:
        """The sides of images must be multiples of this."""
        return int(getattr(self.generator, "multiple", 1))
