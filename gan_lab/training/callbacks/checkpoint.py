"""A callback that saves a run: the last state often, and the best state by a metric."""

import math
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer, callbacks
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from gan_lab.common.bounds import Natural, NonNegative
from gan_lab.training.callbacks.interval import ImageInterval, State
from gan_lab.training.loggers import LOGS, log_checkpoint, log_marks

CLOCK_INTERVAL = 16
"""Iterations between checks of ``minutes``: all ranks must agree on it, which is too costly in every iteration."""


class Checkpoint(callbacks.Checkpoint):
    """Keeps ``last.ckpt`` and, by a metric of ``trainer.callback_metrics``, ``best.ckpt``.

    It saves at the end of an iteration, where the loops, the loader's position and the counters agree, so that a
    resumed run continues exactly. It must come after the other callbacks, so that their states are up to date.

    Where the budget ends it saves before anything is measured for the last time, and adds to the file at the end of
    training what the callbacks have learned since: a run that is cut short between the two continues by measuring.

    Args:
        folder: the run's folder.
        every: images between saves of the last state; 0 saves by time alone.
        minutes: minutes after which the last state is saved in any case.
        monitor: the metric's name, or a pattern whose first match is used; None keeps no ``best.ckpt``.
        mode: "min" if lower values are better, "max" if higher ones are.
    """

    def __init__(
        self,
        folder: str,
        every: Natural = 50_000,
        minutes: NonNegative = 10,
        monitor: str | None = "quick_*f[di]*",
        mode: Literal["min", "max"] = "min",
    ) -> None:
        self.folder, self.every, self.minutes = Path(folder), ImageInterval(every), minutes
        self.monitor, self.sign = monitor, 1 if mode == "min" else -1
        self.best: float | None = None
        self.name: str | None = None
        self.warned = False
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        if self._is_best(trainer):
            trainer.save_checkpoint(self.folder / "best.ckpt", weights_only=False)
        late = module.iteration % CLOCK_INTERVAL == 0 and trainer.strategy.reduce_boolean_decision(
            self._is_late(), all=False
        )
        if self.every.due(module.images_seen) or late or trainer.should_stop:
            trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
            self.saved_at = time.monotonic()

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Keeps the state that the run resumes from if it is measured only now, and is the best."""
        if self._is_best(trainer):
            self._complete(trainer, module, ["best.ckpt"])

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        best = ["best.ckpt"] if self._is_best(trainer) else []
        self._complete(trainer, module, [*best, "last.ckpt"])
        for alias in ("best", "last"):
            if (path := self.folder / f"{alias}.ckpt").is_file():
                log_checkpoint(trainer.loggers, path, alias)

    def _complete(self, trainer: Trainer, module: Any, names: list[str]) -> None:
        """Writes the saved state of this moment, if there is one, with the present states of the callbacks.

        The loops have moved on since, so the state is not collected anew. A file that says so already is left alone.
        """
        if trainer.is_global_zero and (saved := self._saved(trainer, module)) is not None:
            states = {each.state_key: each.state_dict() for each in trainer.callbacks}  # type: ignore[attr-defined]
            states = {key: state for key, state in states.items() if state}
            if saved["callbacks"] != states or not (self.folder / "last.ckpt").is_file():
                saved |= {"callbacks": states, LOGS: log_marks(trainer.loggers)}
                for name in names:
                    trainer.strategy.checkpoint_io.save_checkpoint(saved, self.folder / name)
        trainer.strategy.barrier("completed")

    def _saved(self, trainer: Trainer, module: Any) -> dict[str, Any] | None:
        """Returns the contents of ``last.ckpt``, or of the checkpoint that the run resumes from, if of this moment."""
        for path in (self.folder / "last.ckpt", trainer.ckpt_path):
            if path and Path(path).is_file():
                saved = trainer.strategy.checkpoint_io.load_checkpoint(path, map_location="cpu", weights_only=True)
                if saved.get("counters", {}).get("iteration") == module.iteration:
                    return saved
        return None

    def _is_late(self) -> bool:
        return time.monotonic() - self.saved_at > 60 * self.minutes

    def _is_best(self, trainer: Trainer) -> bool:
        name, value = self.monitored(trainer) or (None, math.nan)
        if name is not None and self.name not in (None, name):  # a run resumed with other metrics, whose values differ
            rank_zero_info(f"best.ckpt is now chosen by {name}, and no longer by {self.name} ({self.best:.4g}).")
            self.name = self.best = None
        if not math.isfinite(value) or (self.best is not None and self.sign * value >= self.sign * self.best):
            return False
        self.name, self.best = name, value
        return True

    def summary(self) -> dict[str, str | float | None]:
        """Returns the ``name`` and ``value`` of the best checkpoint's metric; an empty dict before the first."""
        return {} if self.best is None else {"name": self.name, "value": self.best}

    def monitored(self, trainer: Trainer) -> tuple[str, float] | None:
        """Returns the name and value of the monitored metric; None if it has not been measured."""
        measured = [name for name in trainer.callback_metrics if name.startswith("quick_")]
        name = next((name for name in trainer.callback_metrics if fnmatch(name, self.monitor or "")), None)
        if self.monitor and name is None and measured and not self.warned:
            self.warned = True
            rank_zero_warn(
                f"No metric matches {self.monitor}, so no best.ckpt is kept: give callbacks.checkpoint.monitor=one "
                f"of {', '.join(measured)}."
            )
        return None if name is None else (name, float(trainer.callback_metrics[name]))

    def state_dict(self) -> State:
        return {"every": self.every.state_dict(), "best": self.best, "name": self.name}

    def load_state_dict(self, state: State) -> None:
        self.every.load_state_dict(state["every"])
        self.best, self.name = state["best"], state.get("name")
