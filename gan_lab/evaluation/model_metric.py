"""Figures that are asked of a model itself, and not of a set of its samples."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torchmetrics import Metric

from gan_lab.common.deprecation import accept_old_methods
from gan_lab.evaluation.statistics import Values


@dataclass(frozen=True)
class EvalOptions:
    """How a model is asked; see ``callbacks.measure.Evaluator``."""

    seed: int = 0
    truncation: float = 1.0
    batch_size: int = 256
    progress: bool = True
    cache_dir: str | None = None


DEFAULT_OPTIONS = EvalOptions()


class ModelMetric(Metric):
    """Asks a model, each rank a part of the questions. It is made as a part of a ``Suite`` is, of its ``facts``.

    Attributes:
        described: what the protocol says of it besides its options, in plain values.
    """

    full_state_update = False
    is_differentiable = False
    described: Mapping[str, object] = MappingProxyType({})

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        accept_old_methods(cls, ModelMetric)

    @abstractmethod
    def applies_to(self, model: Any, data: Any) -> bool:
        """Whether the model and the data have what it takes."""

    @abstractmethod
    def update(self, model: Any, data: Any, how: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Asks this rank's part."""

    @abstractmethod
    def compute(self) -> Values:
        """The figures, over all ranks (a collective)."""
