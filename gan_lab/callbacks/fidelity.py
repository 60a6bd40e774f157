"""Measures what a model makes while it trains and at the end, and says against what."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console

from gan_lab.callbacks.checkpoint import StopOnSignal
from gan_lab.callbacks.every import Every
from gan_lab.callbacks.measure import Measure
from gan_lab.callbacks.measures import measure_for
from gan_lab.progress import console


class Fidelity(Callback):
    """Distances of what a model makes from real pictures, on all ranks: of samples see ``metrics.fidelity.measure``, of
    translations ``metrics.translation.measure_translation``.

    Figures go to every logger as ``metric_<split>/<name>`` over images seen, beside N of both sides; by name to
    ``trainer.callback_metrics``; and with their whole protocol, a JSON object a line, to ``metrics.jsonl`` in the
    folder. At the end of the fit a table is printed. A model that does neither, or data that do not suit it, are passed
    over with one line.

    Attributes:
        last: the newest record: ``images_seen``, ``iteration``, ``seconds``, ``figures``, ``shares``, ``protocol``;
            empty before the first measurement.
        best: for each distance's name the figures where it was lowest, and ``images_seen``.

    Args:
        every: images between measurements; 0 for the end alone.
        n: samples, or pictures to translate at most; None as in ``measure_for``.
        folder: of the run.
        extractors: "grey", "colour", "inception"; by default ours for the data's channels.
        weights: files of extractors and of LPIPS' trunks, by name.
        paired: whether picture i of "a" belongs to picture i of "b"; None takes what the data say.
        split, limit: of the real pictures that samples are compared with; translations are, and have, the test split's.
        batch_size: pictures made at once.
        seed: of the samples, or of a translation's chance.
        cache_dir: see ``measure``.
        progress: show bars.
    """

    def __init__(
        self,
        every: int,
        n: int | None,
        folder: str,
        extractors: Sequence[str] | None = None,
        weights: Mapping[str, str | None] | None = None,
        paired: bool | None = None,
        split: str = "train",
        limit: int | None = None,
        batch_size: int = 256,
        seed: int = 0,
        cache_dir: str | None = None,
        progress: bool = True,
    ) -> None:
        self.every, self.n, self.folder = Every(every), n, Path(folder)
        self.parts: dict[str, Any] = {"names": extractors, "weights": weights, "paired": paired}
        self.options: dict[str, Any] = {"split": split, "limit": limit, "batch_size": batch_size, "seed": seed}
        self.options |= {"cache_dir": cache_dir, "progress": progress}
        self.measure: Measure | None = None
        self.last: dict[str, Any] = {}
        self.best: dict[str, dict[str, float]] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes the extractors before training begins, so that a wrong name or missing weights end the run at once."""
        data = getattr(trainer, "datamodule", None)
        if stage != "fit":
            return
        self.measure = measure_for(pl_module, data, self.n, **self.parts, **self.options)
        if self.measure is None:
            rank_zero_info(f"{type(pl_module).__name__} on {type(data).__name__} is not measured: nothing to compare.")

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """What was measured after the checkpoint that is resumed gives way, as rows of the logs do."""
        path, seen = self.folder / "metrics.jsonl", pl_module.images_seen
        if trainer.is_global_zero and path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            path.write_text(
                "".join(line for line in lines if json.loads(line)["images_seen"] <= seen), encoding="utf-8"
            )

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Where the budget is used up too, so that the checkpoint that is written next knows the last figures."""
        if self.measure and (
            self.every.due(pl_module.images_seen) or (trainer.should_stop and not _is_stopped(trainer))
        ):
            self._measure(trainer, pl_module, self.measure)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self.measure is None:
            return
        if not _is_stopped(trainer) and self.last.get("images_seen") != pl_module.images_seen:
            self._measure(trainer, pl_module, self.measure)
        if self.last and trainer.is_global_zero:
            for table in self.measure.tables(self.last, self.best):
                Console().print(table)

    def _measure(self, trainer: Trainer, model: Any, measure: Measure) -> None:
        began = time.monotonic()
        model.sync_buffers()
        report = measure.report(model)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in report.figures.items()})
        counters = {"images_seen": model.images_seen, "iteration": model.iteration}
        line = json.dumps({**counters, "seconds": time.monotonic() - began, **report.record()}, default=str)
        self.last = json.loads(line)
        self._keep_best(measure.distances())
        if trainer.is_global_zero:
            self._write(trainer, line, measure)

    def _keep_best(self, names: Sequence[str]) -> None:
        figures = self.last["figures"]
        for name in names:
            if name not in self.best or figures[name] < self.best[name][name]:
                self.best[name] = {"images_seen": self.last["images_seen"], **figures}

    def _write(self, trainer: Trainer, line: str, measure: Measure) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        protocol = self.last["protocol"]
        told = self.last["figures"] | measure.counts(protocol)
        figures = {f"metric_{protocol['split']}/{name}": value for name, value in told.items()}
        console.print(f"{self.last['images_seen']:,} images: {measure.sentence(self.last)}", highlight=False)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=self.last["images_seen"])

    def summary(self) -> dict[str, Any]:
        """The newest record, for a recorded result; empty before the first measurement."""
        return self.last

    def state_dict(self) -> dict[str, Any]:
        return {"every": self.every.state_dict(), "last": self.last, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.every.load_state_dict(state_dict["every"])
        self.last, self.best = state_dict["last"], state_dict["best"]


def _is_stopped(trainer: Trainer) -> bool:
    """Whether a signal ends the run: whoever waits for it waits for no measurement, and a resumed run makes it."""
    signals = (each for each in trainer.callbacks if isinstance(each, StopOnSignal))  # type: ignore[attr-defined]
    return any(each.received is not None for each in signals)
