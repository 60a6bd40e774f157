"""Callbacks that save a run: the last state often, the best state by a metric, and on a signal before the run ends."""

import math
import signal
import time
from fnmatch import fnmatch
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, callbacks
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from gan_lab.training.callbacks.interval import ImageInterval, State
from gan_lab.training.loggers import log_checkpoint

TIME_LIMIT_SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
"""Signals that SLURM can send to a job shortly before its time limit (``--signal=USR2@120``); Windows has none."""

CLOCK_INTERVAL = 16
"""Iterations between checks of ``minutes``: all ranks must agree on it, which is too costly in every iteration."""


class Checkpoint(callbacks.Checkpoint):
    """Keeps ``last.ckpt`` and, by a metric of ``trainer.callback_metrics``, ``best.ckpt``.

    It saves at the end of an iteration, where the loops, the loader's position and the counters agree, so that a
    resumed run continues exactly. It must come after the other callbacks, so that their states are up to date.

    Args:
        folder: the run's folder.
        every: images between saves of the last state.
        minutes: minutes after which the last state is saved in any case.
        monitor: the metric's name, or a pattern whose first match is used; None keeps no ``best.ckpt``.
        mode: "min" if lower values are better, "max" if higher ones are.
    """

    def __init__(
        self,
        folder: str,
        every: int = 50_000,
        minutes: float = 10,
        monitor: str | None = "quick_*f[di]*",
        mode: str = "min",
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

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        for alias in ("best", "last"):
            if (path := self.folder / f"{alias}.ckpt").is_file():
                log_checkpoint(trainer.loggers, path, alias)

    def _is_late(self) -> bool:
        return time.monotonic() - self.saved_at > 60 * self.minutes

    def _is_best(self, trainer: Trainer) -> bool:
        name, value = self.monitored(trainer) or (None, math.nan)
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


class StopOnSignal(Callback):
    """Ends the run between two iterations, where it can be saved, on Ctrl-C, SIGTERM or SLURM's time limit signal.

    SLURM sends USR1 or USR2 if the job asks for it (``--signal=USR2@120``). A second signal ends the run at once.

    Attributes:
        received: the signal's number; None before one arrives.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.previous: dict[int, Any] = {}

    @property
    def cuts_short(self) -> bool:
        """True if the run ends before its budget is used up."""
        return self.received is not None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        # Lightning has set its own handlers by now, which would stop the run between the steps of two phases.
        numbers = (signal.SIGINT, signal.SIGTERM, *TIME_LIMIT_SIGNALS)
        self.previous = {number: signal.signal(number, self._handle) for number in numbers}

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        rank_zero_info(f"{signal.Signals(number).name}: stopping after this iteration; send it again to stop at once.")

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        if trainer.world_size > 1:
            received = torch.tensor(self.received or 0, device=module.device)
            torch.distributed.all_reduce(received, torch.distributed.ReduceOp.MAX)
            self.received = int(received) or None
        if self.received is not None:
            trainer.should_stop = True


def is_cut_short(trainer: Trainer) -> bool:
    """Returns True if a signal or a pruner ends the run before its budget is used up."""
    return any(getattr(each, "cuts_short", False) for each in trainer.callbacks)  # type: ignore[attr-defined]
