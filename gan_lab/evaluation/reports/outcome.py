"""One evaluation of a model: its record, its table, its page, and a test with people."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from rich.table import Table

from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.gallery import Gallery
from gan_lab.evaluation.image_sets import SplitImages
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

    @property
    def samples_images(self) -> bool:
        """True if the model samples images, so that people can be asked about them."""
        return isinstance(self.evaluator, SampleEvaluator)

    def measure(self, page: bool) -> tuple[EvaluationRecord, Gallery | None]:
        """Computes the record and, for a page, the gallery, on every rank. Collective."""
        began = time.monotonic()
        report = self.evaluator.report(self.model)
        seconds = round(time.monotonic() - began, 2)
        gallery = self.evaluator.gallery(self.model) if page else None
        return cast(EvaluationRecord, {**self.facts, "seconds": seconds, **report.record()}), gallery

    def comparison(self, record: EvaluationRecord) -> str:
        """Says in a few words which sets were compared."""
        return self.against or self.evaluator.comparison_text(record["protocol"])

    def lines(self, record: EvaluationRecord) -> list[Table | str]:
        """Returns the metrics as a table for the terminal, and a sentence about those without a finite value."""
        table = metrics_table(record["figures"], self.comparison(record), record.get("images_seen"))
        undefined = ", ".join(record.get("undefined", ()))
        sentence = f"No finite value, for example because there are too few images: {undefined}"
        return [table, *([sentence] if undefined else [])]

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
        real = SplitImages(data, split, count).pick(torch.arange(count))
        return write_human_test(path, real, source.pick(torch.arange(count)), self.title, pairs, seed)
