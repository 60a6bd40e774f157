"""Says after a few iterations what the whole run will take, before the time is spent."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.bounds import PositiveInt
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.callbacks.sizing import images_to_show
from gan_lab.training.callbacks.stop import long_step
from gan_lab.training.callbacks.throughput import Clock, EndMarker, TimeStamp, peak_memory_gib
from gan_lab.training.forecast import Forecast, advice, evaluation_seconds, training_seconds

WARM_UP = 3
"""Iterations that are not measured: they load, compile and fill caches."""
LONGEST_PERIOD = 64
"""Iterations after which all phases and penalties count as due, however rare one is."""
STEADY = 2.0
"""Seconds of one process below which more iterations are measured, up to ``MOST``."""
MOST = 200
PATIENCE, FEWEST = 30.0, 2
"""Seconds of one process after which fewer iterations are enough, and how many are measured in any case."""
PROBED_FROM = 20.0
"""Seconds of training from which on the cost of evaluations is measured as well."""


class Estimate(Callback):
    """Prints one line with images per second, peak memory and the time to the end of the run.

    It measures as ``Throughput`` does: the wait for a batch and the step, without other callbacks. The number of
    iterations is a multiple of the phases' and penalties' intervals. A line on what would make it fit follows if the
    run takes more than an hour, or on CUDA a day. Put it before callbacks that sample or measure.

    Attributes:
        forecast: what was printed; None before.

    Args:
        iterations: the fewest that are measured.
        scale: the run's scale, for the advice.
        widths: of the networks, by key, for the advice.
        say: print the lines.
        costly: callbacks that sample and measure; None stands for the trainer's.
    """

    def __init__(
        self,
        iterations: PositiveInt = 10,
        scale: str = "paper",
        say: bool = True,
        costly: Sequence[Callback] | None = None,
        widths: Mapping[str, object] | None = None,
    ) -> None:
        self.widths = dict(widths or {})
        self.iterations, self.scale, self.say, self.costly = iterations, scale, say, costly
        self.clock, self.end_marker = Clock(), EndMarker(self)
        self.stamps: list[tuple[TimeStamp, TimeStamp]] = []
        self.images = self.seen = self.passed = 0
        self.callbacks_ended: TimeStamp | None = None
        self.forecast: Forecast | None = None

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if self.end_marker not in trainer.callbacks:  # type: ignore[attr-defined]
            trainer.callbacks.append(self.end_marker)  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.clock, self.callbacks_ended, self.stamps = Clock(module.device), None, []
        self.images, self.seen, self.passed, self.forecast = 0, module.images_seen, 0, None

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        if self.forecast is not None:
            return
        before, self.seen = self.seen, module.images_seen
        self.passed += 1
        if self.passed <= WARM_UP or self.callbacks_ended is None:
            return
        self.stamps.append((self.callbacks_ended, self.clock.now()))
        self.images += self.seen - before
        if self._is_enough(trainer, module):
            self._conclude(trainer, module)

    def _is_enough(self, trainer: Trainer, module: Any) -> bool:
        measured, alone = len(self.stamps), trainer.world_size == 1
        if measured % _period(module):
            return False
        if measured < self.iterations:  # ranks must agree, so only one process goes by its clock
            return alone and measured >= FEWEST and self._seconds() >= PATIENCE
        return not alone or measured >= MOST or self._seconds() >= STEADY

    def _seconds(self) -> float:
        return sum(self.clock.seconds_between(*each) for each in self.stamps)

    def _conclude(self, trainer: Trainer, module: Any) -> None:
        seconds = self._seconds()
        self.stamps = []
        if seconds <= 0:
            return
        self.forecast = _forecast(trainer, module, self.images / seconds, self.costly)
        if self.say and not math.isnan(self.forecast.seconds):
            rank_zero_info(self.forecast.sentence())
            if more := advice(self.forecast, module.device.type, _size(trainer), self.scale, self.widths):
                rank_zero_info(more)


def _forecast(trainer: Trainer, module: Any, speed: float, costly: Sequence[Callback] | None) -> Forecast:
    """Returns what the rest of the run takes at a speed in images per second."""
    budget, seen = module.budget, module.images_seen
    shown, minutes = images_to_show(trainer, module), getattr(budget, "minutes", None)
    left = None if shown is None else max(0, shown - seen)
    minutes_left = None if minutes is None else minutes - module.seconds / 60
    training = training_seconds(speed, left, minutes_left)
    ends_by_time = minutes_left is not None and (left is None or left / speed > 60 * minutes_left)
    callbacks: list[Any] = trainer.callbacks if costly is None else list(costly)  # type: ignore[attr-defined]
    evaluations: float | None = None
    if not any(isinstance(each, Fidelity) and each.evaluators for each in callbacks):
        evaluations = 0.0
    elif training >= PROBED_FROM and trainer.world_size == 1:
        evaluations = _probed(trainer, lambda: evaluation_seconds(callbacks, module, seen, left, ends_by_time))
    later = tuple(phase.name for phase in module.phases() if phase.begin > module.progress)
    return Forecast(speed, peak_memory_gib(module.device), training, evaluations, later)


def _probed(trainer: Trainer, seconds: Callable[[], float]) -> float | None:
    """Returns seconds that are measured in a step which a signal may interrupt; None if they cannot be."""
    found: list[float] = []

    def measure() -> None:
        with suppress(Exception):  # an evaluation that fails is reported when it is made, and must not end training
            found.append(seconds())

    long_step(trainer, measure, together=True)
    return found[0] if found else None


def _period(module: Any) -> int:
    """Returns the iterations after which every phase and penalty has been due equally often."""
    phases = [phase.interval for phase in module.phases()]
    objective = getattr(module, "objective", None)
    penalties = [penalty.interval for penalty in getattr(objective, "penalties", {}).values()]
    return min(math.lcm(*phases, *penalties), LONGEST_PERIOD)


def _size(trainer: Trainer) -> tuple[int, int] | None:
    """Returns (H, W) of the images, if a data module says it."""
    data = getattr(trainer, "datamodule", None)
    size = getattr(data, "size", None)
    return (int(size[0]), int(size[1])) if isinstance(size, tuple | list) and len(size) == 2 else None
