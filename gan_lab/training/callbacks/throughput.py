"""How fast a run goes, what share of it waits for data, and how much memory it takes."""

import contextlib
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from gan_lab.training.callbacks.every import Every

LONGEST_WINDOW = 1024


class Throughput(Callback):
    """Logs ``perf/images_per_second``, ``perf/data_share`` and ``perf/peak_memory_gib``.

    An iteration is the wait for its batch (from the end of the last callback of the iteration before: loading and
    copying to the device) and its step. Images per second (all ranks together) are the window's images over the sum
    of its iterations, so turns that are taken only now and then count in full, while sampling, measuring and saving in
    other callbacks do not; put this callback first, or after the health monitor. The data share is the wait's part of
    that sum. On CUDA the device's own clock is read, so work that is queued is counted where it runs and a wait is
    one only where the device idles. The first iteration (compilation, first workers) is left out.

    Args:
        every: images in a window.
    """

    def __init__(self, every: int) -> None:
        self.every = Every(every)
        self.clock = _Clock()
        self.last = _Last(self)
        self.seen = 0
        self.images = 0
        self.marks: list[tuple[Any, Any, Any]] = []
        self.started: Any = None
        self.ended: Any = None
        self.seconds = {"wait": 0.0, "step": 0.0}
        self.windows: list[dict[str, float]] = []

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        if self.last not in trainer.callbacks:  # type: ignore[attr-defined]
            trainer.callbacks.append(self.last)  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.clock = _Clock(module.device)
        self.ended, self.seen = None, module.images_seen
        _forget_peak()
        if module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(module.device)

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self.started = self.clock.mark()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        seen, self.seen = self.seen, module.images_seen
        if self.ended is not None:
            self.marks.append((self.ended, self.started, self.clock.mark()))
            self.images += self.seen - seen
        if len(self.marks) >= LONGEST_WINDOW:
            self._sum_up()
        if self.every.due(self.seen):
            self._report(trainer, module)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self._report(trainer, module)

    def _sum_up(self) -> None:
        for ended, started, after_step in self.marks:
            self.seconds["wait"] += self.clock.between(ended, started)
            self.seconds["step"] += self.clock.between(started, after_step)
        self.marks = []

    def _report(self, trainer: Trainer, module: Any) -> None:
        self._sum_up()
        total = sum(self.seconds.values())
        if not self.images or not total:
            return
        window = {
            "images_per_second": self.images / total,
            "data_share": self.seconds["wait"] / total,
            "peak_memory_gib": _peak_memory(module.device),
        }
        self.windows.append(window)
        self.images, self.seconds = 0, {"wait": 0.0, "step": 0.0}
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.log_metrics({f"perf/{name}": value for name, value in window.items()}, step=self.seen)

    def summary(self) -> dict[str, float]:
        """The median window's images per second and data share, and the peak memory in GiB; empty before the first."""
        if not self.windows:
            return {}
        medians = {
            name: statistics.median(window[name] for window in self.windows)
            for name in ("images_per_second", "data_share")
        }
        return {**medians, "peak_memory_gib": max(window["peak_memory_gib"] for window in self.windows)}

    def state_dict(self) -> dict[str, Any]:
        return {"every": self.every.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.every.load_state_dict(state["every"])


class _Last(Callback):
    """Stands behind every other callback and notes when they are done."""

    def __init__(self, throughput: Throughput) -> None:
        self.throughput = throughput

    def on_train_batch_end(self, *args: Any) -> None:
        self.throughput.ended = self.throughput.clock.mark()

    def on_train_epoch_end(self, *args: Any) -> None:
        self.throughput.ended = self.throughput.clock.mark()


class _Clock:
    """Marks in time: on CUDA events in the device's stream, elsewhere the process's clock."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.cuda = device is not None and device.type == "cuda"

    def mark(self) -> Any:
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, earlier: Any, later: Any) -> float:
        """Seconds."""
        if not self.cuda:
            return float(later - earlier)
        later.synchronize()
        return float(earlier.elapsed_time(later)) / 1000


def _forget_peak() -> None:
    """So that a job of a sweep is not told what an earlier one took; Linux alone can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory(device: torch.device) -> float:
    """GiB: what tensors took at most on a CUDA device, the process's resident set elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 2**30
