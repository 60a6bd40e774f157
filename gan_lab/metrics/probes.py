"""Figures that are asked of a model itself, and not of a set of its samples."""

from abc import abstractmethod
from typing import Any

from torchmetrics import Metric

from gan_lab.metrics.gathering import Values


class Probe(Metric):
    """Asks a model, each rank a part of the questions."""

    full_state_update = False
    is_differentiable = False

    @abstractmethod
    def suits(self, model: Any, data: Any) -> bool:
        """Whether the model and the data have what it takes."""

    @abstractmethod
    def update(self, model: Any, data: Any, seed: int = 0, batch_size: int = 256, progress: bool = True) -> None:
        """Asks this rank's part."""

    @abstractmethod
    def compute(self) -> Values:
        """The figures, over all ranks (a collective)."""
