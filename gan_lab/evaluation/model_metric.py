"""Metrics that query a model itself, rather than a set of its samples."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

from torchmetrics import Metric

from gan_lab.common.capabilities import TwoDomains
from gan_lab.common.deprecation import accept_old_methods
from gan_lab.evaluation.statistics import Values

Model = TypeVar("Model")
Data = TypeVar("Data")


@dataclass(frozen=True)
class EvalOptions:
    """Options for querying a model; ``evaluators.base.Evaluator`` explains them."""

    seed: int = 0
    truncation: float = 1.0
    batch_size: int = 256
    progress: bool = True
    cache_dir: str | None = None


DEFAULT_OPTIONS = EvalOptions()


class ModelMetric(Metric, Generic[Model, Data]):
    """Queries a model, each rank with a share of the inputs.

    It is built like a metric of a ``Suite``, with those arguments of a context that it takes.

    Attributes:
        described: plain values that the protocol states besides its options.
    """

    full_state_update = False
    is_differentiable = False
    described: Mapping[str, object] = MappingProxyType({})

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        accept_old_methods(cls, ModelMetric)

    @abstractmethod
    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model has the capability, and the data what it needs."""

    @abstractmethod
    def update(self, model: Model, data: Data, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Queries the model with this rank's share of the inputs."""

    @abstractmethod
    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""


class TranslationMetric(ModelMetric[Model, TwoDomains]):
    """Queries a model that translates between two domains."""
