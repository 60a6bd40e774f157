"""The bar of a run whose length is a budget: images, epochs or minutes."""

import time
from collections import deque
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.progress import Progress, TaskID

from gan_lab.common.progress import console, display

REFRESH_SECONDS = 0.25


class BudgetBar(ProgressBar):
    """One bar over the whole budget, with images seen, images per second, losses and the last figures; it stands in
    for Lightning's. Without a terminal, a line at every tenth of the budget.

    It reads ``progress`` and ``images_seen`` of the module and {phase: {term: scalar}} from its training step, of which
    it shows each phase's first term.

    Args:
        figures: how many of ``trainer.callback_metrics`` are shown, the first ones.
    """

    def __init__(self, figures: int = 2) -> None:
        super().__init__()
        self.figures = figures
        self.enabled = True
        self.stack = ExitStack()
        self.shown: tuple[Progress, TaskID] | None = None
        self.losses: dict[str, Any] = {}
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
            bar = self.stack.enter_context(display())
            self.shown = bar, bar.add_task("Training", total=1.0, text="")
            bar.update(self.shown[1], completed=progress)

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Reading losses waits for the device, so it is done a few times a second and no more."""
        if not self.enabled:
            return
        self.losses |= {phase: next(iter(terms.values())) for phase, terms in outputs.items() if terms}
        now = time.monotonic()
        if now - self.refreshed >= REFRESH_SECONDS:
            self.refreshed = now
            self.recent.append((now, module.images_seen))
            self._refresh(trainer, module)

    def _refresh(self, trainer: Trainer, module: Any) -> None:
        progress = _progress(module)
        if self.shown:
            bar, task = self.shown
            bar.update(task, completed=progress, text=self._text(trainer, module))
        elif int(progress * 10) > self.tenth:
            self.tenth = int(progress * 10)
            self.print(f"{progress:4.0%}  {self._left(progress)} left  {self._text(trainer, module)}")

    def _left(self, progress: float) -> timedelta:
        """At the mean speed of this part of the run."""
        began, already = self.began
        return timedelta(seconds=round((time.monotonic() - began) * (1 - progress) / (progress - already)))

    def _text(self, trainer: Trainer, module: Any) -> str:
        (then, before), (now, after) = self.recent[0], self.recent[-1]
        parts = [f"{module.images_seen:,} images"]
        if now > then:
            parts.append(f"{(after - before) / (now - then):,.0f} images/s")
        parts += [f"{phase} {float(loss):.3g}" for phase, loss in self.losses.items()]
        figures = list(trainer.callback_metrics.items())[: self.figures]
        return "  ".join([*parts, *(f"{name} {float(value):.4g}" for name, value in figures)])

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if self.enabled:
            self._refresh(trainer, module)
        self._close()

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        self._close()

    def teardown(self, trainer: Trainer, module: Any, stage: str) -> None:
        self._close()

    def _close(self) -> None:
        """Leaves the terminal as it was, whatever ended the run."""
        self.shown = None
        self.stack.close()


def _progress(module: Any) -> float:
    return min(1.0, float(module.progress))
