"""Ends a run whose monitored metric has stopped improving."""

import math
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.errors import UserError
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.callbacks.interval import State


class EarlyStop(Callback):
    """Ends the run when the metric that ``best.ckpt`` is chosen by has not improved for some measurements in a row.

    A measurement is a quick evaluation of ``Fidelity``. The run ends as one whose budget is used up: it is saved and
    its last metrics are computed. Put this callback after ``Fidelity`` and before ``Checkpoint``. All ranks have the
    same metrics, so they stop together.

    Attributes:
        best: the best value so far; None before the first measurement.
        name: its metric.
        since: measurements since then, without an improvement.
        reason: why it has ended the run; None if it has not.

    Args:
        measurements: measurements without an improvement after which the run ends; None never ends it.
    """

    def __init__(self, measurements: PositiveInt | None = None) -> None:
        self.measurements = measurements
        self.best: float | None = None
        self.name: str | None = None
        self.best_at = self.judged = self.since = 0
        self.reason: str | None = None

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Judges a measurement that was made up for, and ends a run again that had ended.

        Raises:
            UserError: if nothing is measured, or nothing follows a metric.
        """
        self.reason = None
        if self.measurements is None:
            return
        fidelity, checkpoint = _found(trainer, Fidelity), _found(trainer, Checkpoint)
        lacks = "no quick metric is measured" if fidelity is None or "quick" not in fidelity.evaluators else ""
        lacks = lacks or ("" if checkpoint and checkpoint.monitor else "callbacks.checkpoint has no monitor")
        if lacks:
            raise UserError(f"early_stop={self.measurements} has no metric to follow, because {lacks}: leave it out.")
        self._judge(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        if self.measurements is not None and not trainer.should_stop:  # a run at its end has nothing left to stop
            self._judge(trainer, module)

    def _judge(self, trainer: Trainer, module: Any) -> None:
        """Counts a new measurement, and ends the run after too many without an improvement."""
        name = self._count(trainer)
        if self.measurements is None or self.since < self.measurements or self.best is None:
            return
        self.reason = (
            f"{name or 'The monitored metric'} has not improved for {self.since} measurements since {self.best:.4g} at "
            f"{self.best_at:,} images"
        )
        rank_zero_info(f"{self.reason}, so training ends after {module.images_seen:,} (early_stop).")
        trainer.should_stop = True

    def _count(self, trainer: Trainer) -> str | None:
        """Takes a new measurement into account; returns the metric's name if there is one."""
        fidelity, checkpoint = _found(trainer, Fidelity), _found(trainer, Checkpoint)
        record = fidelity.last.get("quick") if fidelity else None
        metric = checkpoint.monitored(trainer) if checkpoint else None
        if checkpoint is None or record is None or metric is None:
            return None
        (name, value), seen = metric, record["images_seen"]
        if seen == self.judged or name not in record["figures"]:  # one that failed says nothing
            return name
        if self.name not in (None, name):  # values of another metric say nothing
            self.best, self.since = None, 0
        self.judged, self.name = seen, name
        improves = self.best is None or checkpoint.sign * value < checkpoint.sign * self.best
        if math.isfinite(value) and improves:
            self.best, self.best_at, self.since = value, seen, 0
        else:
            self.since += 1
        return name

    def state_dict(self) -> State:
        return {
            "best": self.best,
            "best_at": self.best_at,
            "judged": self.judged,
            "since": self.since,
            "name": self.name,
        }

    def load_state_dict(self, state: State) -> None:
        self.best, self.best_at = state["best"], state["best_at"]
        self.judged, self.since, self.name = state["judged"], state["since"], state.get("name")


def _found(trainer: Trainer, kind: type[Any]) -> Any:
    """Returns the trainer's callback of a class, or None."""
    return next((each for each in trainer.callbacks if isinstance(each, kind)), None)  # type: ignore[attr-defined]


def early_end(trainer: Trainer) -> str | None:
    """Returns why ``EarlyStop`` has ended the run; None if it has not."""
    stopping: EarlyStop | None = _found(trainer, EarlyStop)
    return stopping.reason if stopping else None
