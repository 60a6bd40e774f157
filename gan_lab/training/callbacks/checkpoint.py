"""When a run is saved: the last state often, the best by a figure, and on a signal before it ends."""

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

from gan_lab.training.callbacks.every import Every
from gan_lab.training.loggers import log_checkpoint

TIME_IS_UP = (signal.SIGUSR1, signal.SIGUSR2)


class Checkpoint(callbacks.Checkpoint):
    """Keeps ``last.ckpt`` and, by a figure of ``trainer.callback_metrics``, ``best.ckpt``. Comes after other callbacks.

    Everything is saved at the end of an iteration, where the loops, the loader's place and the counters agree, so that
    a resumed run goes on exactly.

    Args:
        folder: the run's folder.
        every: images between saves of the last state.
        minutes: minutes after which it is saved in any case.
        monitor: the figure, or a pattern whose first match it is; None keeps no best.
        mode: "min" or "max".
    """

    def __init__(
        self,
        folder: str,
        every: int = 50_000,
        minutes: float = 10,
        monitor: str | None = "quick_*f[di]*",
        mode: str = "min",
    ) -> None:
        self.folder, self.every, self.minutes = Path(folder), Every(every), minutes
        self.monitor, self.sign = monitor, 1 if mode == "min" else -1
        self.best: float | None = None
        self.name: str | None = None
        self.warned = False
        self.saved_at = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        if self._is_best(trainer):
            trainer.save_checkpoint(self.folder / "best.ckpt", weights_only=False)
        # Whether it is late is asked of all ranks: not in every iteration.
        late = module.iteration % 16 == 0 and trainer.strategy.reduce_boolean_decision(self._is_late(), all=False)
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
        name, value = self.figure(trainer) or (None, math.nan)
        if not math.isfinite(value) or (self.best is not None and self.sign * value >= self.sign * self.best):
            return False
        self.name, self.best = name, value
        return True

    def summary(self) -> dict[str, Any]:
        """The best figure's name and value; empty before there is one."""
        return {} if self.best is None else {"name": self.name, "value": self.best}

    def figure(self, trainer: Trainer) -> tuple[str, float] | None:
        """The name and value of the figure that the best goes by, where it was measured."""
        measured = [name for name in trainer.callback_metrics if name.startswith("quick_")]
        name = next((name for name in trainer.callback_metrics if fnmatch(name, self.monitor or "")), None)
        if self.monitor and name is None and measured and not self.warned:
            self.warned = True
            rank_zero_warn(
                f"No figure is called {self.monitor}, so no best.ckpt is kept: give callbacks.checkpoint.monitor=one "
                f"of {', '.join(measured)}."
            )
        return None if name is None else (name, float(trainer.callback_metrics[name]))

    def state_dict(self) -> dict[str, Any]:
        return {"every": self.every.state_dict(), "best": self.best, "name": self.name}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.every.load_state_dict(state["every"])
        self.best, self.name = state["best"], state.get("name")


class StopOnSignal(Callback):
    """Ctrl-C, SIGTERM and what SLURM sends to a job whose time is nearly up (``--signal=USR2@120``, or USR1) end the
    run between two iterations, where it can be saved; a second one ends it at once.

    ``received`` is the signal's number, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.previous: dict[int, Any] = {}

    @property
    def cuts_short(self) -> bool:
        return self.received is not None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        # After Lightning has set its own handlers, which would stop between two players' steps.
        self.previous = {
            number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM, *TIME_IS_UP)
        }

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        rank_zero_info(f"{signal.Signals(number).name}: stopping after this iteration; again to stop at once.")

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if trainer.world_size > 1:
            received = torch.tensor(self.received or 0, device=module.device)
            torch.distributed.all_reduce(received, torch.distributed.ReduceOp.MAX)
            self.received = int(received) or None
        if self.received is not None:
            trainer.should_stop = True


def is_cut_short(trainer: Trainer) -> bool:
    """Whether a signal or a search ends the run before its budget does."""
    return any(getattr(each, "cuts_short", False) for each in trainer.callbacks)  # type: ignore[attr-defined]
