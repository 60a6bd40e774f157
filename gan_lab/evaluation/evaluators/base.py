"""What every way of measuring a model has."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.gallery import Gallery, Sheet
from gan_lab.evaluation.model_metric import EvalOptions, ModelMetric
from gan_lab.evaluation.results import Report
from gan_lab.evaluation.statistics import Values
from gan_lab.evaluation.suite import MetricFactory, build_metric, metric_class, named

Record = Mapping[str, Any]
"""What a report's ``record`` gives, and ``images_seen`` where a run measures."""


@dataclass
class Evaluator(ABC):
    """Measures one kind of model against its data.

    Args:
        data: with the real pictures.
        n: pictures that the model makes, at most.
        extractors: whose features are measured.
        parts: comparisons and probes by name; see ``metrics.suite.Suite``.
        split: of the real pictures.
        limit: so many real pictures at most.
        batch_size: pictures made at once.
        seed: of what the model draws.
        truncation: of samples' latents.
        cache_dir: where what does not change is kept.
        progress: show bars.
    """

    data: Any
    n: int
    extractors: Sequence[Extractor]
    parts: Mapping[str, MetricFactory]
    split: str = "train"
    limit: int | None = None
    batch_size: int = 256
    seed: int = 0
    truncation: float = 1.0
    cache_dir: str | None = None
    progress: bool = True

    @abstractmethod
    def report(self, model: Any) -> Report:
        """The figures of a model (attribute ``device``) as it is now, the one that matters most first; a collective."""

    @abstractmethod
    def counts(self, protocol: Record) -> dict[str, int]:
        """N of every set, by name."""

    @abstractmethod
    def comparison_text(self, protocol: Record) -> str:
        """What was measured against what, in a few words."""

    def asked(self, model: Any, facts: Mapping[str, Any]) -> tuple[Values, dict[str, Mapping[str, object]]]:
        """What those of the parts find that are probes, by name, and what is to be said of each in the protocol.

        Args:
            facts: what they may ask for.
        """
        found: Values = {}
        described: dict[str, Mapping[str, object]] = {}
        for name, part in self.parts.items():
            probe = build_metric(part, facts) if issubclass(metric_class(part), ModelMetric) else None
            if probe is None or not probe.applies_to(model, self.data):
                continue
            how = EvalOptions(self.seed, self.truncation, self.batch_size, self.progress, self.cache_dir)
            probe.to(model.device)
            probe.update(model, self.data, how)
            found |= {named(None, key): value for key, value in probe.compute().items()}
            described[name] = probe.described
        return found, described

    @abstractmethod
    def sheet(self, model: Any) -> Sheet | None:
        """What the model makes, not chosen."""

    def gallery(self, model: Any) -> Gallery | None:
        """What a report shows, of the pictures that ``report`` measured, where there is anything to show."""
        return None
