"""Evaluates a model while it trains and at the end, and records each metric with its protocol."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console

from gan_lab.common.atomic import atomic_write, make_folder, writing
from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.distributed import raise_lost_rank
from gan_lab.common.errors import reason
from gan_lab.common.progress import console
from gan_lab.common.wording import counted
from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.factories import comparison_class, metric_class, metric_name, plain_options
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.reports.protocol_table import COLUMNS, Cell, protocol_rows
from gan_lab.evaluation.reports.records import EvaluationRecord
from gan_lab.evaluation.reports.tables import metrics_table, one_line
from gan_lab.evaluation.suite import MetricFactory
from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.callbacks.interval import ImageInterval, State
from gan_lab.training.callbacks.sizing import Sizes, apply_sizes, fit_to_images, fitting_sizes, images_to_show
from gan_lab.training.callbacks.stop import INTERRUPTED, is_cut_short, is_stopped, long_step
from gan_lab.training.loggers import log_table

RECORDS = "metrics.jsonl"
ANNOUNCED = 10.0
"""Seconds from which on an evaluation is announced."""


class Fidelity(Callback):
    """Evaluates the model on all ranks, in two tiers.

    While it trains, the quick tier computes few metrics of few images; their names begin with ``quick_``. At the end
    the final tier computes all metrics of many images. The metrics go

    - to every logger as ``metric_<split>/<name>`` over images seen, with N of both sets, and at the end as one table
      with the essentials of their protocols;
    - to ``trainer.callback_metrics`` by name, so that the best checkpoint can be chosen by any of them;
    - with their whole protocol to ``metrics.jsonl`` in the run's folder, one JSON object a line.

    At the end a table is printed. If the model has no outputs that can be evaluated on the data, one line says so. A
    metric or an evaluation that fails is reported in one line and recorded, and the run goes on. An evaluation that a
    signal interrupts is made up for when the run is resumed.

    Attributes:
        last: the newest record of each tier, "quick" and "final", with the keys ``tier``, ``images_seen``,
            ``iteration``, ``seconds``, ``figures`` (values by metric), ``curves`` and ``protocol``.

    Args:
        every: images between quick evaluations; 0 evaluates at the end only.
        n: number of samples, or the largest number of images to translate; None as in ``select_evaluator``, or what a
            small budget allows (see ``sizing``).
        folder: the run's folder.
        metrics: the final tier's metrics by name.
        quick: the quick tier's metrics by name.
        quick_n: largest number of samples of the quick tier; None takes as many as the final tier.
        extractors: feature extractors by name; by default the one that knows the data best, see ``default_extractor``.
        weights: weight files of the LPIPS backbones by name.
        paired: whether image i of "a" belongs to image i of "b"; None takes what the data say.
        split: split of the real images that samples are compared with; translations use the test split.
        limit: largest number of real images.
        batch_size: images generated at once.
        seed: seed of the samples, or of stochastic translations.
        cache_dir: see ``gan_lab.evaluation.suite.Suite``.
        progress: show progress bars.
    """

    def __init__(
        self,
        every: Natural,
        n: PositiveInt | None,
        folder: str,
        metrics: Mapping[str, MetricFactory] | None,
        quick: Mapping[str, MetricFactory] | None,
        quick_n: PositiveInt | None = None,
        extractors: Mapping[str, Extractor] | None = None,
        weights: Mapping[str, str | None] | None = None,
        paired: bool | None = None,
        split: Literal["train", "test", "whole"] = "train",
        limit: PositiveInt | None = None,
        batch_size: PositiveInt = 256,
        seed: Seed = 0,
        cache_dir: str | None = None,
        progress: bool = True,
    ) -> None:
        self.every, self.folder = ImageInterval(every), Path(folder)
        smaller_n = min((each for each in (n, quick_n) if each is not None), default=None)
        self.tiers = {"quick": (_chosen(quick), smaller_n), "final": (_chosen(metrics), n)}
        self.options: dict[str, Any] = {"extractors": extractors, "weights": weights, "paired": paired, "split": split}
        self.options |= {"limit": limit, "batch_size": batch_size, "seed": seed}
        self.options |= {"cache_dir": cache_dir, "progress": progress}
        self.evaluators: dict[str, Evaluator] = {}
        self.last: dict[str, EvaluationRecord] = {}
        self.failed: dict[str, str] = {}
        self.sizes: Sizes | None = None
        self.asked: dict[str, str] = {}
        """What was measured in ``last``, by tier; see ``_what_is_asked``."""
        self.owed = False  # a quick evaluation of these weights, which a signal interrupted
        self.rows: list[list[Cell]] = []

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Chooses the evaluators before training begins, so that a wrong configuration ends the run at once."""
        data = getattr(trainer, "datamodule", None)
        if stage != "fit":
            return
        self.rehearse(pl_module, data)
        if not self.evaluators and any(parts for parts, _ in self.tiers.values()):
            rank_zero_info(
                f"No evaluation: {type(pl_module).__name__} has no outputs to compare with {type(data).__name__}."
            )

    def rehearse(self, model: Any, data: Any) -> None:
        """Chooses the evaluators.

        Raises:
            UserError: if there are none for these metrics, options and data.
        """
        for tier, (parts, n) in self.tiers.items():
            evaluator = select_evaluator(model, data, parts, n, **self.options) if parts else None
            if evaluator is not None:
                self.evaluators[tier] = evaluator

    def quick_names(self) -> list[str]:
        """Returns names of quick metrics, by which a run can be judged while it trains: those that baselines have."""
        if (evaluator := self.evaluators.get("quick")) is None:
            return []
        found: dict[str, None] = {}
        for kind in filter(None, map(comparison_class, evaluator.metrics.values())):
            for extractor in [None] if kind.input == "images" else evaluator.extractors:
                found |= {f"quick_{metric_name(extractor, key)}": None for key in kind.baseline_keys if "." not in key}
        return list(found)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Drops records made after the checkpoint that the run resumes from; makes up for an interrupted evaluation."""
        if trainer.is_global_zero:
            self._drop_records(pl_module.images_seen)
        self._fit_sizes(trainer, pl_module)
        if self.owed and "quick" in self.evaluators:
            self._evaluate(trainer, pl_module, "quick")

    def _what_is_asked(self, tier: str) -> str:
        """Returns a text that states metrics, extractors and numbers of a tier."""
        evaluator, (_, n) = self.evaluators[tier], self.tiers[tier]
        metrics = {name: _stated(factory) for name, factory in evaluator.metrics.items()}
        extractors = [[each.name, getattr(each, "sha256", None)] for each in evaluator.extractors]
        options = {name: self.options[name] for name in ("weights", "paired", "split", "limit", "seed")}
        return json.dumps([metrics, extractors, n, options], sort_keys=True, default=str)

    def _fit_sizes(self, trainer: Trainer, module: Any) -> None:
        """Reduces evaluations of a default size to what a small budget allows.

        What fits into minutes is measured once: a resumed run keeps it.
        """
        if self.tiers["final"][1] is not None:
            return
        if (shown := images_to_show(trainer, module)) is not None:
            fit_to_images(self.evaluators, shown)
        minutes = getattr(getattr(module, "budget", None), "minutes", None)
        if minutes is None:
            return
        if self.sizes is None:
            found: Sizes = {}
            long_step(trainer, lambda: found.update(fitting_sizes(self.evaluators, module, minutes)), together=True)
            self.sizes = found or None
        apply_sizes(self.evaluators, self.sizes or {}, minutes)

    def _drop_records(self, seen: int) -> None:
        path = self.folder / RECORDS
        if not path.is_file():
            return
        whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")  # a crash may cut a line off
        found = {line: _moment(line) for line in whole.splitlines()}
        known = [(tier, self._images_at_last(tier)) for tier in self.tiers]
        kept = [line for line, at in found.items() if at and (at[1] < seen or (at[1] == seen and at in known))]
        if damaged := sum(moment is None for moment in found.values()):
            rank_zero_info(f"Damaged lines of {path} are left out: {damaged}.")
        with atomic_write(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: object) -> None:
        """Makes the quick evaluations; those at the end of the budget follow once the last checkpoint is saved."""
        ends = trainer.should_stop and not is_cut_short(trainer)
        if self.every.due(pl_module.images_seen) and "quick" in self.evaluators and not ends:
            self._evaluate(trainer, pl_module, "quick")

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Makes the last evaluations, unless they are known from an earlier part of the run."""
        for tier in ("quick", "final"):
            if self._due(trainer, tier, pl_module.images_seen):
                self._evaluate(trainer, pl_module, tier)
        if is_stopped(trainer):
            return
        if self.rows:  # once at the end: loggers store the whole table at each call
            log_table(trainer.loggers, "metrics", COLUMNS, self.rows, pl_module.images_seen)
        if self._is_known("final", pl_module.images_seen) and trainer.is_global_zero:
            record = self.last["final"]
            protocol = record["protocol"]
            comparison = self.evaluators["final"].comparison_text(protocol)
            Console().print(metrics_table(record["figures"], comparison, record["images_seen"], protocol))

    def _due(self, trainer: Trainer, tier: str, images_seen: int) -> bool:
        at_end = not is_cut_short(trainer) and (tier == "final" or trainer.should_stop)
        return at_end and tier in self.evaluators and not self._is_known(tier, images_seen)

    def missing(self, images_seen: int) -> dict[str, str]:
        """Returns the evaluations that the end of the run lacks, "quick" and "final", or metrics of theirs, and why."""
        lacking = [tier for tier in self.evaluators if not self._is_known(tier, images_seen)]
        due = [tier for tier in lacking if tier == "final" or tier in self.failed]
        parts = {
            f"{tier}: {name}": why
            for tier in self.last
            for name, why in self.last[tier].get("failed", {}).items()
            if tier not in lacking
        }
        return {tier: self.failed.get(tier, INTERRUPTED) for tier in due} | parts

    def _is_known(self, tier: str, images_seen: int) -> bool:
        """Tells whether a tier was evaluated here, by what is chosen now; older checkpoints do not state by what."""
        if tier not in self.evaluators or self._images_at_last(tier) != images_seen:
            return False
        return self.asked.get(tier, asked := self._what_is_asked(tier)) == asked

    def _images_at_last(self, tier: str) -> int | None:
        return self.last[tier]["images_seen"] if tier in self.last else None

    def _evaluate(self, trainer: Trainer, model: AlternatingModule, tier: str) -> None:
        """Evaluates and records; an evaluation that fails or is interrupted gives no metrics (collective)."""
        self.failed.pop(tier, None)
        self._announce(tier)
        record: dict[str, Any] = {}
        completed = long_step(trainer, lambda: record.update(self._measure(model, tier)), together=True)
        self.owed = tier == "quick" and not completed
        if "error" in record:
            self.failed[tier] = record["error"]
            rank_zero_info(f"The {tier} evaluation failed, so its metrics are missing: {record['error']}")
            if trainer.is_global_zero:
                self._append(json.dumps(record))
        elif completed:
            self._keep(trainer, tier, record)
            for name, why in record.get("failed", {}).items():
                rank_zero_info(f"{name} failed in the {tier} evaluation, so it is missing: {why}")

    def _announce(self, tier: str) -> None:
        """Says how long the last evaluation takes, if that is long: judged by the quick one."""
        if tier == "final" and "quick" in self.last:
            few, many = (self.evaluators[each].most for each in ("quick", "final"))
            seconds = self.last["quick"]["seconds"] / max(1, few) * many
            if seconds > ANNOUNCED:
                about = timedelta(seconds=round(seconds))
                rank_zero_info(f"The last metrics, of {counted(many, 'item')}, take about {about}.")

    def _measure(self, model: AlternatingModule, tier: str) -> dict[str, Any]:
        """Returns the record of an evaluation, or with ``error`` why there is none (collective)."""
        counters = {"tier": tier, "images_seen": model.images_seen, "iteration": model.iteration}
        began = time.monotonic()
        model.sync_buffers()
        try:
            result = self.evaluators[tier].evaluate(model)
            if result.failed and not result.metrics:
                raise next(iter(result.failed.values()))
        except Exception as error:  # whatever a metric raises: the training that it was to measure is worth more
            raise_lost_rank(error)
            return {**counters, "error": reason(error)}
        return {**counters, "seconds": time.monotonic() - began, **result.record()}

    def _append(self, line: str) -> None:
        path = self.folder / RECORDS
        with writing(path):
            make_folder(self.folder)
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def _keep(self, trainer: Trainer, tier: str, record: dict[str, Any]) -> None:
        """Keeps an evaluation for the checkpoint, and sends it to the records and to all loggers."""
        if tier == "quick":  # the values depend on N, so they must not be mistaken for the final ones
            record["figures"] = {f"quick_{name}": value for name, value in record["figures"].items()}
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in record["figures"].items()})
        line = json.dumps(record, default=str)
        seen = record["images_seen"]
        if self._images_at_last(tier) == seen:  # what was measured by other metrics
            self.rows = [row for row in self.rows if row[:2] != [seen, tier]]
            self.last.pop(tier)
            if trainer.is_global_zero:
                self._drop_records(seen)
        self.last[tier], self.asked[tier] = json.loads(line), self._what_is_asked(tier)
        if trainer.is_global_zero:
            self._append(line)
            self._write(trainer, self.last[tier], self.evaluators[tier])

    def _write(self, trainer: Trainer, record: EvaluationRecord, evaluator: Evaluator) -> None:
        protocol = record["protocol"]
        comparison = evaluator.comparison_text(protocol)
        values = record["figures"] | evaluator.counts(protocol)
        metrics = {f"metric_{protocol['split']}/{name}": value for name, value in values.items()}
        if record["tier"] == "quick":
            text = one_line(record["figures"], comparison)
            console.print(f"{record['images_seen']:,} images: {text}", highlight=False)
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=record["images_seen"])
        self.rows += protocol_rows(record, comparison)

    def summary(self) -> EvaluationRecord | dict[str, Any]:
        """Returns the final tier's record, for a recorded result; an empty dict before it exists."""
        return self.last.get("final", {})

    def state_dict(self) -> State:
        return {
            "every": self.every.state_dict(),
            "last": self.last,
            "asked": self.asked,
            "lines": self.rows,
            "owed": self.owed,
            "sizes": self.sizes,
        }

    def load_state_dict(self, state_dict: State) -> None:
        self.every.load_state_dict(state_dict["every"])
        self.last, self.rows = state_dict["last"], list(state_dict.get("lines", []))
        self.asked = dict(state_dict.get("asked", {}))  # older checkpoints have none
        self.owed, self.sizes = state_dict.get("owed", False), state_dict.get("sizes")


def _moment(line: str) -> tuple[str, int] | None:
    """Returns the tier of a record and the images seen; None for a damaged line."""
    try:
        record = json.loads(line)
        return str(record["tier"]), int(record["images_seen"])
    except (ValueError, LookupError, TypeError):
        return None


def _stated(factory: MetricFactory) -> dict[str, object]:
    """Returns the class of a metric and its options, those that are no plain values by their names."""
    chosen = factory.keywords if isinstance(factory, partial) else {}
    parts = {name: each.func if isinstance(each, partial) else each for name, each in chosen.items()}
    named = {name: getattr(each, "__qualname__", type(each).__qualname__) for name, each in parts.items()}
    kind = metric_class(factory)
    return {"of": f"{kind.__module__}.{kind.__qualname__}", **named, **plain_options(factory)}


def _chosen(parts: Mapping[str, MetricFactory] | None) -> dict[str, MetricFactory]:
    """Leaves out mappings without a target: they hold settings of metrics that were not chosen."""
    return {name: part for name, part in (parts or {}).items() if callable(part)}
