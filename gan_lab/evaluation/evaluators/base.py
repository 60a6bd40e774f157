"""The base class of evaluators."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypedDict, TypeVar

import torch

from gan_lab.common.distributed import raise_lost_rank
from gan_lab.common.stopping import attempt, separately
from gan_lab.evaluation.factories import MetricFactory, build_metric, is_model_metric, metric_name, plain_options
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.gallery import Gallery, Sheet
from gan_lab.evaluation.image_sets import ImageSet, device_of
from gan_lab.evaluation.model_metric import EvalOptions, ModelMetric
from gan_lab.evaluation.results import EvaluationResult
from gan_lab.evaluation.statistics import Values

Model = TypeVar("Model")
Data = TypeVar("Data")

Record = Mapping[str, Any]
"""What ``EvaluationResult.record`` returns, with ``images_seen`` when evaluated during a run."""

PROBED = (8, 8, 64, 256)
"""Numbers of items whose cost is measured, one after another."""
PROBING_SECONDS = 1.0
"""Time that no measurement of a cost is expected to exceed, apart from the first two."""

Described = dict[str, Mapping[str, object]]
"""By metric, what the protocol states besides its options."""

Failed = dict[str, Exception]
"""By metric, the error that it failed with."""


class EvaluatorOptions(TypedDict, total=False):
    """Options that all evaluators take; see ``Evaluator``."""

    split: str
    limit: int | None
    batch_size: int
    seed: int
    truncation: float
    cache_dir: str | None
    progress: bool


@dataclass(frozen=True)
class EvaluatorInputs:
    """Everything that an evaluator is built from.

    Args:
        model: the model, with the capability that the evaluator needs.
        data: the data module.
        n: maximal number of generated images, clips or points.
        extractors: the feature extractors.
        metrics: factories by name.
        weights: files of LPIPS' networks, by name.
        paired: whether image i of domain "a" belongs to image i of "b"; None takes what the data state.
        options: see ``Evaluator``.
    """

    model: Any
    data: Any
    n: int
    extractors: Sequence[Extractor]
    metrics: Mapping[str, MetricFactory]
    weights: Mapping[str, str | None]
    paired: bool | None
    options: EvaluatorOptions


@dataclass
class Evaluator(ABC, Generic[Model, Data]):
    """Evaluates models of one kind on their data.

    Args:
        data: the data module with the real images.
        n: maximal number of generated images.
        extractors: the feature extractors.
        metrics: factories of comparisons and model metrics, by name; see ``suite.Suite``.
        split: the split of the real images.
        limit: maximal number of real images; None takes all.
        batch_size: images generated at once.
        seed: seed of everything random that the model draws.
        truncation: in (0, 1], shrinks the latents of samples.
        cache_dir: the folder of cached statistics; see ``cache.cache_folder``.
        progress: show progress bars.
    """

    data: Data
    n: int
    extractors: Sequence[Extractor]
    metrics: Mapping[str, MetricFactory]
    split: str = "train"
    limit: int | None = None
    batch_size: int = 256
    seed: int = 0
    truncation: float = 1.0
    cache_dir: str | None = None
    progress: bool = True

    @property
    def most(self) -> int:
        """The items that an evaluation takes at most: n, or fewer where each belongs to one of a few test items."""
        return self.n

    @abstractmethod
    def evaluate(self, model: Model) -> EvaluationResult:
        """Computes the metrics of the model's present weights, the most important one first (collective)."""

    @abstractmethod
    def counts(self, protocol: Record) -> dict[str, int]:
        """Returns N of every image set, by name."""

    @abstractmethod
    def comparison_text(self, protocol: Record) -> str:
        """States in a few words what was compared with what."""

    def probe(self, model: Model, n: int) -> ImageSet | None:
        """Returns n generated items, to measure what they cost; None where they cost next to nothing."""
        return None

    def seconds_per_item(self, model: Model) -> tuple[float, float]:
        """Measures the seconds that it takes to generate an item, and to extract its features, on this rank.

        The first time loads weights and compiles, and does not count; where items are fast, more are taken.
        """
        cost = (0.0, 0.0)
        for n in PROBED:
            items = self.probe(model, n)
            if items is None or (n > PROBED[0] and n * sum(cost) > PROBING_SECONDS):
                break
            cost = self._cost_of(items, device_of(model))
        return cost

    def _cost_of(self, items: ImageSet, device: torch.device) -> tuple[float, float]:
        generated = extracted = 0.0
        began = time.perf_counter()
        for _, batch in items.batches(progress=False):
            float(batch.sum())  # waits for the device
            middle = time.perf_counter()
            for extractor in self.extractors:
                float(extractor.to(device)(batch.to(device))[0].sum())
            ended = time.perf_counter()
            generated, extracted, began = generated + middle - began, extracted + ended - middle, ended
        return generated / items.n, extracted / items.n

    def evaluate_model_metrics(self, model: Model, context: Mapping[str, object]) -> tuple[Values, Described, Failed]:
        """Computes those of the metrics that are model metrics and apply to the model and its data (collective).

        One that fails on any rank is left out.

        Args:
            model: the model.
            context: arguments that metrics may take.
        """
        options = EvalOptions(self.seed, self.truncation, self.batch_size, self.progress, self.cache_dir)
        found: Values = {}
        described: Described = {}
        failed: Failed = {}
        for name, factory in self.metrics.items():
            try:
                metric = separately(partial(self._updated, factory, model, context, options))
                values = separately(attempt(metric.compute)) if metric else {}
                found |= {metric_name(None, key): value for key, value in values.items()}
            except Exception as error:
                raise_lost_rank(error)
                failed[name] = error
            else:
                described |= {name: metric.described} if metric else {}
        return found, described, failed

    def _updated(
        self, factory: MetricFactory, model: Model, context: Mapping[str, object], options: EvalOptions
    ) -> ModelMetric[Any, Any] | None:
        """Builds a model metric and queries the model with this rank's share; returns None if it does not apply."""
        metric = build_metric(factory, context) if is_model_metric(factory) else None
        if not isinstance(metric, ModelMetric) or not metric.applies_to(model, self.data):
            return None
        metric.to(device_of(model))
        metric.update(model, self.data, options)
        return metric

    def metric_protocol(self, described: Described) -> dict[str, dict[str, object]]:
        """Returns what the protocol states of each metric: its options, and what it describes of itself."""
        return {name: {**plain_options(each), **described.get(name, {})} for name, each in self.metrics.items()}

    @abstractmethod
    def sheet(self, model: Model) -> Sheet | None:
        """Returns images of the model that are not chosen by their quality."""

    def gallery(self, model: Model) -> Gallery | None:
        """Returns chosen images of those that ``evaluate`` measured, or None if there is nothing to show."""
        return None
