"""One evaluation of a model: its record, its table, its page, and a test with people."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from rich.table import Table

from gan_lab.common.errors import UserError
from gan_lab.data.sources.folders import compared_folders
from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.gallery import Gallery
from gan_lab.evaluation.image_sets import SplitImages, StoredSampler
from gan_lab.evaluation.reports.evaluation_page import write_evaluation_page
from gan_lab.evaluation.reports.human_test import write_human_test
from gan_lab.evaluation.reports.records import EvaluationRecord
from gan_lab.evaluation.reports.tables import metrics_table


@dataclass(frozen=True)
class Evaluation:
    """A model and the evaluator that suits it.

    Args:
        model: the model, or a sampler of stored images.
        evaluator: computes the metrics.
        title: title of the page.
        facts: further entries of the record.
        against: which sets are compared, if the evaluator does not know.
    """

    model: Any
    evaluator: Evaluator
    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    against: str = ""

    @classmethod
    def of_model(
        cls, model: Any, data: Any, title: str, facts: Mapping[str, Any], options: Mapping[str, Any]
    ) -> "Evaluation":
        """The evaluation of a model on data.

        Args:
            model: the model.
            data: the data module that it was trained on.
            title: of the page.
            facts: further entries of the record.
            options: arguments of ``select_evaluator``.

        Raises:
            UserError: if the data do not suit the model.
        """
        evaluator = select_evaluator(model, data, **options)
        if evaluator is None:
            name = f"{type(data).__name__} data do not suit {type(model).__name__}"
            raise UserError(f"{name}, so there is nothing to compare: train another model on them.")
        return cls(model, evaluator, title, facts)

    @classmethod
    def of_folders(
        cls,
        real: Path,
        fake: Path,
        size: int | tuple[int, int] | None,
        device: torch.device,
        options: Mapping[str, Any],
    ) -> "Evaluation":
        """The evaluation of the images of one folder, ``fake``, against those of another.

        Args:
            real, fake: folders or zips of images.
            size: to which all are resized; None for the most frequent size of the real images.
            device: of the extractors.
            options: arguments of ``select_evaluator``.

        Raises:
            UserError: if a folder has no images.
        """
        reference, images = compared_folders(str(real), str(fake), size)
        n = min(options["n"] or images.count("train"), images.count("train"))
        sampler = StoredSampler(images, device, ["stored", images.fingerprint("train")])
        evaluator = select_evaluator(sampler, reference, **{**options, "n": n, "split": "train"})
        assert evaluator is not None
        names = [path.resolve().name for path in (fake, real)]
        count = min(options["limit"] or reference.count("train"), reference.count("train"))
        against = f"{n:,} images of {names[0]} against {count:,} of {names[1]}"
        return cls(sampler, evaluator, " against ".join(names), {"fake": images.describe()}, against)

    @property
    def samples_images(self) -> bool:
        """True if the model samples images, so that people can be asked about them."""
        return isinstance(self.evaluator, SampleEvaluator)

    def measure(self, page: bool) -> tuple[EvaluationRecord, Gallery | None]:
        """Computes the record and, for a page, the gallery, on every rank. Collective.

        Raises:
            Exception: what a metric raised, if none could be computed.
        """
        began = time.monotonic()
        report = self.evaluator.evaluate(self.model)
        if report.failed and not report.metrics:
            raise next(iter(report.failed.values()))
        seconds = round(time.monotonic() - began, 2)
        gallery = self.evaluator.gallery(self.model) if page else None
        return cast(EvaluationRecord, {**self.facts, "seconds": seconds, **report.record()}), gallery

    def comparison(self, record: EvaluationRecord) -> str:
        """Says in a few words which sets were compared."""
        return self.against or self.evaluator.comparison_text(record["protocol"])

    def lines(self, record: EvaluationRecord) -> list[Table | str]:
        """Returns the metrics as a table for the terminal, and sentences about those without a finite value."""
        values, protocol = record["figures"], record["protocol"]
        table = metrics_table(values, self.comparison(record), record.get("images_seen"), protocol)
        undefined = ", ".join(record.get("undefined", ()))
        sentence = f"No finite value, for example because there are too few images: {undefined}"
        failed = [f"{name} failed, so it is missing: {why}" for name, why in record.get("failed", {}).items()]
        return [table, *([sentence] if undefined else []), *failed]

    def write_page(
        self, path: Path, record: EvaluationRecord, gallery: Gallery | None, trial: Path | None = None
    ) -> Path:
        """Writes the page of the evaluation; returns its path."""
        sheet = self.evaluator.sheet(self.model)
        return write_evaluation_page(path, self.title, self.comparison(record), record, sheet, gallery, trial)

    def write_trial(self, path: Path, n: int, split: str, pairs: bool, seed: int) -> Path:
        """Writes a page that shows people real images, spread over the split, and the first samples."""
        assert isinstance(self.evaluator, SampleEvaluator)
        data, source = self.evaluator.data, self.evaluator.source(self.model)
        count = min(n, source.n, data.count(split))
        real = SplitImages(data, split, count).select(torch.arange(count))
        return write_human_test(path, real, source.select(torch.arange(count)), self.title, pairs, seed)
