"""Measures a run's speed, the share of time that it waits for data, and its peak memory."""

import contextlib
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from gan_lab.common.bounds import Natural
from gan_lab.training.callbacks.interval import ImageInterval, State

MAX_PENDING = 1024
"""Iterations after which time stamps are summed, so that a long window does not keep all of them."""

TimeStamp = float | torch.cuda.Event


class Timed(Protocol):
    """A callback that measures iterations, and must know when the other callbacks have finished."""

    clock: "Clock"
    callbacks_ended: TimeStamp | None


class Throughput(Callback):
    """Logs ``perf/images_per_second``, ``perf/data_share`` and ``perf/peak_memory_gib``.

    An iteration consists of the wait for its batch (loading and copying to the device, measured from the end of the
    previous iteration's last callback) and of its step. Images per second, over all ranks, are the window's images
    divided by the sum of its iterations. Phases that are due only in some iterations therefore count in full, and
    sampling, evaluation and saving in other callbacks do not count. The data share is the wait's part of that sum.

    On CUDA the device's own clock is read: queued work counts where it runs, and only an idle device counts as waiting.
    The first iteration (compilation, start of the workers) is left out. Put this callback first, or after ``Health``.

    Args:
        every: images in a window.
    """

    def __init__(self, every: Natural) -> None:
        self.every = ImageInterval(every)
        self.clock = Clock()
        self.end_marker = EndMarker(self)
        self.seen = 0
        self.images = 0
        self.pending: list[tuple[TimeStamp, TimeStamp, TimeStamp]] = []
        self.step_began: TimeStamp | None = None
        self.callbacks_ended: TimeStamp | None = None
        self.seconds = {"wait": 0.0, "step": 0.0}
        self.windows: list[dict[str, float]] = []

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if self.end_marker not in trainer.callbacks:  # type: ignore[attr-defined]
            trainer.callbacks.append(self.end_marker)  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.clock = Clock(module.device)
        self.callbacks_ended, self.seen = None, module.images_seen
        reset_peak_memory()
        if module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(module.device)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        self.step_began = self.clock.now()

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: object) -> None:
        before, self.seen = self.seen, module.images_seen
        if self.callbacks_ended is not None and self.step_began is not None:
            self.pending.append((self.callbacks_ended, self.step_began, self.clock.now()))
            self.images += self.seen - before
        if len(self.pending) >= MAX_PENDING:
            self._sum_up()
        if self.every.due(self.seen):
            self._report(trainer, module)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._report(trainer, module)

    def _sum_up(self) -> None:
        for callbacks_ended, step_began, step_ended in self.pending:
            self.seconds["wait"] += self.clock.seconds_between(callbacks_ended, step_began)
            self.seconds["step"] += self.clock.seconds_between(step_began, step_ended)
        self.pending = []

    def _report(self, trainer: Trainer, module: LightningModule) -> None:
        self._sum_up()
        total = sum(self.seconds.values())
        if not self.images or not total:
            return
        window = {
            "images_per_second": self.images / total,
            "data_share": self.seconds["wait"] / total,
            "peak_memory_gib": peak_memory_gib(module.device),
        }
        self.windows.append(window)
        self.images, self.seconds = 0, {"wait": 0.0, "step": 0.0}
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.log_metrics({f"perf/{name}": value for name, value in window.items()}, step=self.seen)

    def summary(self) -> dict[str, float]:
        """Returns the medians over windows of images per second and data share, and the peak memory in GiB.

        Empty before the first window.
        """
        if not self.windows:
            return {}
        medians = {
            name: statistics.median(window[name] for window in self.windows)
            for name in ("images_per_second", "data_share")
        }
        return {**medians, "peak_memory_gib": max(window["peak_memory_gib"] for window in self.windows)}

    def state_dict(self) -> State:
        return {"every": self.every.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.every.load_state_dict(state["every"])


class EndMarker(Callback):
    """Runs after every other callback and records when they have finished.

    Args:
        timed: a callback with ``clock`` and ``callbacks_ended``.
    """

    def __init__(self, timed: Timed) -> None:
        self.timed = timed

    def on_train_batch_end(self, *args: object) -> None:
        self.timed.callbacks_ended = self.timed.clock.now()

    def on_train_epoch_end(self, *args: object) -> None:
        self.timed.callbacks_ended = self.timed.clock.now()


class Clock:
    """Takes time stamps: events in the device's stream on CUDA, the process's clock elsewhere."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.cuda = device is not None and device.type == "cuda"

    def now(self) -> TimeStamp:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds_between(self, earlier: TimeStamp, later: TimeStamp) -> float:
        if isinstance(earlier, torch.cuda.Event) and isinstance(later, torch.cuda.Event):
            later.synchronize()
            return float(earlier.elapsed_time(later)) / 1000
        return float(later - earlier)  # type: ignore[operator]


def reset_peak_memory() -> None:
    """Resets the process's peak, so that a sweep's job does not report an earlier one's; possible on Linux only."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_gib(device: torch.device) -> float:
    """Returns the peak of the tensors on a CUDA device, elsewhere the peak of the process's resident set, in GiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        import resource
    except ImportError:  # on Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 2**30
