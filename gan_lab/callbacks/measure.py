"""What every way of measuring a model has."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_lab.metrics.exhibits import Exhibits
from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.fidelity import Report
from gan_lab.metrics.suite import Part

Record = Mapping[str, Any]
"""What a report's ``record`` gives, and ``images_seen`` where a run measures."""


@dataclass
class Measure(ABC):
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
    parts: Mapping[str, Part]
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
    def against(self, protocol: Record) -> str:
        """What was measured against what, in a few words."""

    def exhibits(self, model: Any) -> Exhibits | None:
        """What a report shows, of the pictures that ``report`` measured, where there is anything to show."""
        return None
