"""A progress bar over a run's budget, which is given in images, epochs or minutes."""

import time
from collections import deque
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.progress import Progress, TaskID
from torch import Tensor

from gan_lab.common.bounds import Natural
from gan_lab.common.progress import console, display
from gan_lab.training.alternating import AlternatingModule

REFRESH_SECONDS = 0.25


class BudgetBar(ProgressBar):
    """Shows one bar over the whole budget, with images seen, images per second, losses and the latest metrics.

    It replaces Lightning's bar. Without a terminal it prints a line at every tenth of the budget. Of the training
    step's result, {phase: {term: scalar}}, it shows each phase's first term.

    Args:
        metrics: number of metrics of ``trainer.callback_metrics`` to show; the first ones are taken.
    """

    def __init__(self, metrics: Natural = 2) -> None:
        super().__init__()
        self.num_metrics = metrics
        self.enabled = True
        self.stack = ExitStack()
        self.bar: tuple[Progress, TaskID] | None = None
        self.losses: dict[str, Tensor] = {}
        self.recent: deque[tuple[float, int]] = deque(maxlen=40)
        self.refreshed = 0.0
        self.began = (0.0, 0.0)
        self.tenth = 0

    def disable(self) -> None:
        self.enabled = False

    def enable(self) -> None:
        self.enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        console.print(*args, highlight=False, markup=False, soft_wrap=True)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if not self.enabled:
            return
        progress = _progress(module)
        self.tenth = int(progress * 10)
        self.began = time.monotonic(), progress
        self.recent.clear()
        self.recent.append((self.began[0], module.images_seen))
        if console.is_terminal:
            progress_display = self.stack.enter_context(display())
            self.bar = progress_display, progress_display.add_task("Training", total=1.0, text="")
            progress_display.update(self.bar[1], completed=progress)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, *_: object) -> None:
        """Refreshes the bar a few times a second only, since reading a loss waits for the device."""
        if not self.enabled:
            return
        self.losses |= {phase: next(iter(terms.values())) for phase, terms in outputs.items() if terms}
        now = time.monotonic()
        if now - self.refreshed >= REFRESH_SECONDS:
            self.refreshed = now
            self.recent.append((now, module.images_seen))
            self._refresh(trainer, module)

    def _refresh(self, trainer: Trainer, module: AlternatingModule) -> None:
        progress = _progress(module)
        if self.bar:
            progress_display, task = self.bar
            progress_display.update(task, completed=progress, text=self._text(trainer, module))
        elif int(progress * 10) > self.tenth:
            self.tenth = int(progress * 10)
            self.print(f"{progress:4.0%}  {self._time_left(progress)} left  {self._text(trainer, module)}")

    def _time_left(self, progress: float) -> timedelta:
        """Estimates the time left from the mean speed since training began or was resumed."""
        began, already = self.began
        return timedelta(seconds=round((time.monotonic() - began) * (1 - progress) / (progress - already)))

    def _text(self, trainer: Trainer, module: AlternatingModule) -> str:
        (then, before), (now, after) = self.recent[0], self.recent[-1]
        parts = [f"{module.images_seen:,} images"]
        if now > then:
            parts.append(f"{(after - before) / (now - then):,.0f} images/s")
        parts += [f"{phase} {float(loss):.3g}" for phase, loss in self.losses.items()]
        metrics = list(trainer.callback_metrics.items())[: self.num_metrics]
        return "  ".join([*parts, *(f"{name} {float(value):.4g}" for name, value in metrics)])

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if self.enabled:
            self._refresh(trainer, module)
        self._close()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self._close()

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        self._close()

    def _close(self) -> None:
        """Restores the terminal, whatever ended the run."""
        self.bar = None
        self.stack.close()


def _progress(module: AlternatingModule) -> float:
    return min(1.0, float(module.progress))
