"""An evaluation as a whole: what is measured, its record, its table, its page."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.gallery import Gallery
from gan_lab.evaluation.image_sets import SplitImages
from gan_lab.evaluation.reports.pages import write_trial
from gan_lab.evaluation.reports.report import write_report
from gan_lab.evaluation.reports.tables import table


@dataclass(frozen=True)
class Evaluation:
    """A model, how it is measured, and what the record says of it.

    Args:
        model: the model, or a sampler of stored images.
        evaluator: measures it.
        title: of the page.
        facts: further entries of the record.
        against: what is compared with what, if the evaluator does not know.
    """

    model: Any
    evaluator: Evaluator
    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    against: str = ""

    @property
    def samples_images(self) -> bool:
        """Whether images are sampled, so that people can be asked about them."""
        return isinstance(self.evaluator, SampleEvaluator)

    def measure(self, page: bool) -> tuple[dict[str, Any], Gallery | None]:
        """Measures; every rank calls it and gets the record and, for a page, the gallery (a collective)."""
        began = time.monotonic()
        report = self.evaluator.report(self.model)
        seconds = round(time.monotonic() - began, 2)
        gallery = self.evaluator.gallery(self.model) if page else None
        return {**self.facts, "seconds": seconds, **report.record()}, gallery

    def comparison(self, record: Mapping[str, Any]) -> str:
        """What is compared with what, in words."""
        return self.against or self.evaluator.comparison_text(record["protocol"])

    def lines(self, record: Mapping[str, Any]) -> list[Table | str]:
        """The metrics as a table for the terminal, and a sentence on those without a value."""
        undefined = ", ".join(record.get("undefined", ()))
        sentence = f"Without a finite value, for example with too few images: {undefined}"
        return [table(record, self.comparison(record)), *([sentence] if undefined else [])]

    def write_page(
        self, path: Path, record: Mapping[str, Any], gallery: Gallery | None, trial: Path | None = None
    ) -> Path:
        """Writes the report page; returns its path."""
        sheet = self.evaluator.sheet(self.model)
        return write_report(path, self.title, self.comparison(record), record, sheet, gallery, trial)

    def write_trial(self, path: Path, n: int, split: str, pairs: bool, seed: int) -> Path:
        """Writes a page on which people tell real images, spread over the split, from the first samples."""
        assert isinstance(self.evaluator, SampleEvaluator)
        data, source = self.evaluator.data, self.evaluator.source(self.model)
        count = min(n, source.n, data.count(split))
        real = SplitImages(data, split, count).pick(torch.arange(count))
        return write_trial(path, real, source.pick(torch.arange(count)), self.title, pairs, seed)
