"""Measures the samples while a model trains and at the end, and says against what."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console, Group
from rich.table import Table

from gan_lab.callbacks.checkpoint import StopOnSignal
from gan_lab.callbacks.every import Every
from gan_lab.metrics.extractors import Extractor, default_for, extractor
from gan_lab.metrics.fidelity import Reference, Report, measure, references
from gan_lab.progress import console
from gan_lab.types import RealImages, Samples, UserError


class _Trained(Samples, Protocol):
    """What is used of an ``AlternatingModule`` that samples."""

    images_seen: int
    iteration: int
    device: torch.device

    def sync_buffers(self) -> None: ...


class Fidelity(Callback):
    """Fréchet distance and classifier score of a model's samples, on all ranks.

    Figures go to every logger as ``metric_<split>/<name>`` over images seen, beside N of both sides; by name to
    ``trainer.callback_metrics``; and with their whole protocol, a JSON object a line, to ``metrics.jsonl`` in the
    folder. At the end of the fit a table is printed. A model that does not sample, or data without real images, is
    passed over with one line.

    Attributes:
        last: the newest record: ``images_seen``, ``iteration``, ``seconds``, ``figures``, ``shares``, ``protocol``;
            empty before the first measurement.
        best: for each distance's name the figures where it was lowest, and ``images_seen``.

    Args:
        every: images between measurements; 0 for the end alone.
        n: samples to measure.
        folder: of the run.
        extractors: "grey", "colour", "inception"; by default ours for the data's channels.
        weights: files of extractors, by name.
        split, limit: of the real pictures.
        batch_size: samples made at once.
        seed: of the samples.
        cache_dir: see ``measure``.
        progress: show bars.
    """

    def __init__(
        self,
        every: int,
        n: int,
        folder: str,
        extractors: Sequence[str] | None = None,
        weights: Mapping[str, str] | None = None,
        split: str = "train",
        limit: int | None = None,
        batch_size: int = 256,
        seed: int = 0,
        cache_dir: str | None = None,
        progress: bool = True,
    ) -> None:
        if n < 2:
            raise UserError(f"A distance needs at least 2 samples, not n={n}: several thousand make it steady.")
        self.every, self.n, self.folder = Every(every), n, Path(folder)
        self.names, self.weights = extractors, dict(weights or {})
        self.split, self.limit, self.batch_size, self.seed = split, limit, batch_size, seed
        self.cache_dir, self.progress = cache_dir, progress
        self.extractors: list[Extractor] = []
        self.references: dict[str, Reference] = {}
        self.last: dict[str, Any] = {}
        self.best: dict[str, dict[str, float]] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes the extractors before training begins, so that a wrong name or missing weights end the run at once."""
        data = getattr(trainer, "datamodule", None)
        if stage != "fit":
            return
        if not isinstance(pl_module, Samples) or not isinstance(data, RealImages):
            rank_zero_info(f"{type(pl_module).__name__} on {type(data).__name__} is not measured: nothing to compare.")
            return
        names = self.names or [default_for(data.channels)]
        self.extractors = [extractor(name, self.weights.get(name)) for name in names]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What was measured after the checkpoint that is resumed gives way, as rows of the logs do."""
        path, seen = self.folder / "metrics.jsonl", cast(_Trained, pl_module).images_seen
        if trainer.is_global_zero and path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            path.write_text(
                "".join(line for line in lines if json.loads(line)["images_seen"] <= seen), encoding="utf-8"
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Where the budget is used up too, so that the checkpoint that is written next knows the last figures."""
        model = cast(_Trained, pl_module)
        if self.extractors and (
            self.every.due(model.images_seen) or (trainer.should_stop and not _is_stopped(trainer))
        ):
            self._measure(trainer, model)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        model = cast(_Trained, pl_module)
        if self.extractors and not _is_stopped(trainer) and self.last.get("images_seen") != model.images_seen:
            self._measure(trainer, model)
        if self.last and trainer.is_global_zero:
            for each in self.extractors:
                Console().print(self._table(each))

    def _measure(self, trainer: Trainer, model: _Trained) -> None:
        began = time.monotonic()
        model.sync_buffers()
        report = self._report(cast(RealImages, trainer.datamodule), model)  # type: ignore[attr-defined]
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in report.figures.items()})
        counters = {"images_seen": model.images_seen, "iteration": model.iteration}
        line = json.dumps({**counters, "seconds": time.monotonic() - began, **report.record()}, default=str)
        self.last = json.loads(line)
        self._keep_best()
        if trainer.is_global_zero:
            self._write(trainer, line)

    def _report(self, data: RealImages, model: _Trained) -> Report:
        same: dict[str, Any] = {
            "split": self.split,
            "limit": self.limit,
            "batch_size": self.batch_size,
            "device": model.device,
            "cache_dir": self.cache_dir,
            "progress": self.progress,
        }
        self.references = self.references or references(data, self.extractors, self.n, **same)
        return measure(model, data, self.extractors, self.n, seed=self.seed, known=self.references, **same)

    def _keep_best(self) -> None:
        figures = self.last["figures"]
        for name in (each.distance for each in self.extractors):
            if name not in self.best or figures[name] < self.best[name][name]:
                self.best[name] = {"images_seen": self.last["images_seen"], **figures}

    def _write(self, trainer: Trainer, line: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        protocol = self.last["protocol"]
        counts = {"samples": protocol["samples"], "real": protocol["real"]}
        figures = {f"metric_{self.split}/{name}": value for name, value in (self.last["figures"] | counts).items()}
        console.print(f"{self.last['images_seen']:,} images: {self._sentence()}", highlight=False)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=self.last["images_seen"])

    def _sentence(self) -> str:
        figures = self.last["figures"]
        each = (f"{e.distance} {figures[e.distance]:.2f}, {e.score} {figures[e.score]:.2f}" for e in self.extractors)
        return f"{', '.join(each)}; {self._counts()}"

    def _counts(self) -> str:
        protocol = self.last["protocol"]
        return f"{protocol['samples']:,} samples against {protocol['real']:,} pictures of the {self.split} split"

    def _table(self, each: Extractor) -> Group:
        """One extractor's figures: the run's last samples, its best, and what they are to be compared with."""
        last, best = self.last["figures"], self.best[each.distance]
        table = Table("", each.distance, each.score)
        for name, figures, suffix in (
            (f"samples after {self.last['images_seen']:,} images", last, ""),
            (f"best, after {best['images_seen']:,} images", best, ""),
            ("pixel Gaussian", last, "_gaussian"),
        ):
            table.add_row(name, f"{figures[each.distance + suffix]:.3f}", f"{figures[each.score + suffix]:.3f}")
        table.add_row("real pictures", "", f"{last[each.score + '_real']:.3f}")
        return Group(f"{self._counts()}, {each.name} features ({each.resizer})", table)

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
