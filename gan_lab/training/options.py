"""Options of a training run that every method takes, in one object."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from gan_lab.common.bounds import NonNegative, PositiveFloat, PositiveInt, Seed
from gan_lab.common.errors import UserError
from gan_lab.training.budget import Budget
from gan_lab.training.ema import EMA
from gan_lab.training.schedules import Schedule


@dataclass(frozen=True)
class EngineOptions:
    """Options of the engine that trains every method; a method takes them as one argument and hands them on.

    Args:
        budget: length of the run; None trains until the trainer stops.
        seed: seed of every random number drawn in training.
        lr_schedule: schedule of the learning rates of all phases.
        schedules: schedules of further quantities, by name; see ``gan_lab.training.schedules.Scheduled``. They take
            precedence over ``lr_schedule``; null entries are skipped.
        clip: largest norm of a phase's gradient; None does not clip.
        micro_batches: number of equal parts in which a phase works through its batch before it steps.
        channels_last: memory layout of the four-dimensional weights.
        compile: compile the networks that ``modules_to_compile`` returns, in place.
        log_every: iterations between two rows of losses.
        ema_half_life: half-life, in images, of the averaged networks; None keeps no average.
        ema_ramp: upper bound of the half-life as a share of the images seen; None sets none.
        ema_widths: relative widths of further averages, from which one of any width can be made afterwards; see
            ``gan_lab.training.power_average``. Each costs the memory of the averaged networks.
    """

    budget: Budget | None = None
    seed: Seed = 0
    lr_schedule: Schedule | None = None
    schedules: Mapping[str, Schedule | None] = field(default_factory=dict)
    clip: PositiveFloat | None = None
    micro_batches: PositiveInt = 1
    channels_last: bool = True
    compile: bool = False
    log_every: PositiveInt = 50
    ema_half_life: NonNegative | None = 10_000
    ema_ramp: NonNegative | None = 0.05
    ema_widths: Sequence[PositiveFloat] | None = None

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            UserError: for one that is not positive; a negative ``clip`` would turn gradients around.
        """
        for name in ("clip", "micro_batches", "log_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"model.engine.{name}={value} is not valid: give a number above 0.")

    def schedules_of(self, phases: Iterable[str]) -> dict[str, Schedule]:
        """Returns all schedules by the quantity they scale, the learning rates of the phases among them."""
        every = {f"{phase}.lr": self.lr_schedule for phase in phases} | dict(self.schedules)
        return {name: schedule for name, schedule in every.items() if schedule is not None}

    def average(self, networks: Mapping[str, nn.Module]) -> EMA | None:
        """Returns moving averages of the networks; None if there are none, or no half-life is set."""
        if self.ema_half_life is None or not networks:
            if self.ema_widths:
                raise UserError("ema_widths are those of averages: give model.engine.ema_half_life=10000 too.")
            return None
        return EMA(networks, self.ema_half_life, self.ema_ramp, self.ema_widths or ())
