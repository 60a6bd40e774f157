"""Measures what a model makes while it trains and at the end, and says against what."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console

from gan_lab.common.atomic import atomic_write
from gan_lab.common.progress import console
from gan_lab.evaluation.evaluators.base import Evaluator, Record
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.reports.protocol import COLUMNS, lines_of
from gan_lab.evaluation.reports.tables import sentence, table
from gan_lab.evaluation.suite import MetricFactory
from gan_lab.training.callbacks.checkpoint import is_cut_short
from gan_lab.training.callbacks.every import Every
from gan_lab.training.loggers import log_table


class Fidelity(Callback):
    """Measures what a model makes, on all ranks: while it trains few pictures by few figures, ``quick_…``, and at the
    end many by all of them.

    Figures go to every logger as ``metric_<split>/<name>`` over images seen, beside N of both sides, and at the end of
    the fit as one table with what matters of their protocols; by name to ``trainer.callback_metrics``, so that the best
    checkpoint can go by any; and with their whole protocol, a JSON object a line, to ``metrics.jsonl`` in the folder.
    At the end a table is printed. A model that makes no pictures, or data that do not suit it, are passed over with one
    line.

    Attributes:
        last: the newest record of each tier, "quick" and "final": ``tier``, ``images_seen``, ``iteration``,
            ``seconds``, ``figures``, ``curves``, ``protocol``.

    Args:
        every: images between quick measurements; 0 for the end alone.
        n: samples, or pictures to translate at most; None as in ``select_evaluator``.
        folder: of the run.
        metrics: comparisons and probes by name, of the final tier.
        quick: those of the quick one.
        quick_n: samples of the quick tier at most; None for as many as in the final one.
        extractors: by name; by default ours for the data's channels.
        weights: files of LPIPS' trunks, by name.
        paired: whether picture i of "a" belongs to picture i of "b"; None takes what the data say.
        split, limit: of the real pictures that samples are compared with; translations are, and have, the test split's.
        batch_size: pictures made at once.
        seed: of the samples, or of a translation's chance.
        cache_dir: see ``metrics.suite.Suite``.
        progress: show bars.
    """

    def __init__(
        self,
        every: int,
        n: int | None,
        folder: str,
        metrics: Mapping[str, MetricFactory] | None,
        quick: Mapping[str, MetricFactory] | None,
        quick_n: int | None = None,
        extractors: Mapping[str, Extractor] | None = None,
        weights: Mapping[str, str | None] | None = None,
        paired: bool | None = None,
        split: str = "train",
        limit: int | None = None,
        batch_size: int = 256,
        seed: int = 0,
        cache_dir: str | None = None,
        progress: bool = True,
    ) -> None:
        self.every, self.folder = Every(every), Path(folder)
        # A mapping without a target holds settings of a metric that was not chosen.
        chosen = [{name: part for name, part in (parts or {}).items() if callable(part)} for parts in (quick, metrics)]
        fewer = min((each for each in (n, quick_n) if each is not None), default=None)
        self.tiers = {"quick": (chosen[0], fewer), "final": (chosen[1], n)}
        self.options: dict[str, Any] = {"extractors": extractors, "weights": weights, "paired": paired, "split": split}
        self.options |= {"limit": limit, "batch_size": batch_size, "seed": seed}
        self.options |= {"cache_dir": cache_dir, "progress": progress}
        self.measures: dict[str, Evaluator] = {}
        self.last: dict[str, dict[str, Any]] = {}
        self.lines: list[list[Any]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Before training begins, so that what cannot be measured ends the run at once."""
        data = getattr(trainer, "datamodule", None)
        if stage != "fit":
            return
        for tier, (parts, n) in self.tiers.items():
            measure = select_evaluator(pl_module, data, parts, n, **self.options) if parts else None
            if measure is not None:
                self.measures[tier] = measure
        if not self.measures and any(parts for parts, _ in self.tiers.values()):
            rank_zero_info(f"{type(pl_module).__name__} on {type(data).__name__} is not measured: nothing to compare.")

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """What was measured after the checkpoint that is resumed gives way, as rows of the logs do."""
        path, seen = self.folder / "metrics.jsonl", pl_module.images_seen
        if trainer.is_global_zero and path.is_file():
            whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")  # a crash may have cut the last line
            kept = [line for line in whole.splitlines() if json.loads(line)["images_seen"] <= seen]
            with atomic_write(path) as beside:
                beside.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Where the budget is used up too, so that the checkpoint that is written next knows the last figures."""
        ends = trainer.should_stop and not is_cut_short(trainer)
        if "quick" in self.measures and (self.every.due(pl_module.images_seen) or ends):
            self._measure(trainer, pl_module, "quick")
        if "final" in self.measures and ends:
            self._measure(trainer, pl_module, "final")

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        due = "final" in self.measures and not is_cut_short(trainer)
        if due and self._seen("final") != pl_module.images_seen:
            self._measure(trainer, pl_module, "final")
        if self.lines:  # whole, and so once: at every measurement it would be the square of them
            log_table(trainer.loggers, "metrics", COLUMNS, self.lines, pl_module.images_seen)
        if "final" in self.measures and "final" in self.last and trainer.is_global_zero:
            Console().print(
                table(self.last["final"], self.measures["final"].comparison_text(self.last["final"]["protocol"]))
            )

    def _seen(self, tier: str) -> int | None:
        return self.last[tier]["images_seen"] if tier in self.last else None

    def _measure(self, trainer: Trainer, model: Any, tier: str) -> None:
        began, measure = time.monotonic(), self.measures[tier]
        model.sync_buffers()
        record = measure.report(model).record()
        if tier == "quick":  # of another N: not to be taken for the final ones
            record["figures"] = {f"quick_{name}": value for name, value in record["figures"].items()}
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in record["figures"].items()})
        counters = {"tier": tier, "images_seen": model.images_seen, "iteration": model.iteration}
        line = json.dumps({**counters, "seconds": time.monotonic() - began, **record}, default=str)
        self.last[tier] = json.loads(line)
        if trainer.is_global_zero:
            self._write(trainer, line, self.last[tier], measure)

    def _write(self, trainer: Trainer, line: str, record: Record, measure: Evaluator) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        protocol = record["protocol"]
        told = record["figures"] | measure.counts(protocol)
        figures = {f"metric_{protocol['split']}/{name}": value for name, value in told.items()}
        if record["tier"] == "quick":
            told = sentence(record, measure.comparison_text(protocol))
            console.print(f"{record['images_seen']:,} images: {told}", highlight=False)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=record["images_seen"])
        self.lines += lines_of(record, measure.comparison_text(protocol))

    def summary(self) -> dict[str, Any]:
        """The final record, for a recorded result; empty before it is made."""
        return self.last.get("final", {})

    def state_dict(self) -> dict[str, Any]:
        return {"every": self.every.state_dict(), "last": self.last, "lines": self.lines}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.every.load_state_dict(state_dict["every"])
        self.last, self.lines = state_dict["last"], list(state_dict.get("lines", []))
