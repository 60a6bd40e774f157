"""What every way of measuring a model has, and how its figures are told."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.fidelity import Report
from gan_lab.metrics.modes import count_modes

Record = Mapping[str, Any]
"""What a report's ``record`` gives, and ``images_seen`` where a run measures."""


@dataclass
class Measure(ABC):
    """Measures one kind of model against its data.

    Args:
        data: with the real pictures.
        n: pictures that the model makes, at most.
        extractors: whose features are measured.
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
    split: str = "train"
    limit: int | None = None
    batch_size: int = 256
    seed: int = 0
    truncation: float = 1.0
    cache_dir: str | None = None
    progress: bool = True

    @abstractmethod
    def report(self, model: Any) -> Report:
        """The figures of a model (attribute ``device``) as it is now; a collective."""

    @abstractmethod
    def counts(self, protocol: Record) -> dict[str, int]:
        """N of every set, by name."""

    @abstractmethod
    def sentence(self, record: Record) -> str:
        """The figures that matter, in one line."""

    def distances(self) -> list[str]:
        """The figures that are better the lower they are."""
        return [each.distance for each in self.extractors]

    @abstractmethod
    def tables(self, last: Record, best: Mapping[str, Record]) -> list[RenderableType]:
        """The figures, and what they are to be compared with: of each extractor, or all in one.

        Args:
            last: the newest record.
            best: for each distance's name the figures where it was lowest, and ``images_seen``.
        """

    def _same(self, device: Any) -> dict[str, Any]:
        return {"device": device, "cache_dir": self.cache_dir, "progress": self.progress}

    def _modes(self, model: Any, judge: Any) -> dict[str, float]:
        how = (self.n, self.seed, self.truncation, self.batch_size, model.device, self.progress)
        return count_modes(model, judge, *how)


def after(record: Record) -> str:
    return f" after {record['images_seen']:,} images" if "images_seen" in record else ""


def better(prefix: str, last: Record, best: Record | None) -> list[tuple[str, Record, str]]:
    """The row of the best measurement, if that was another than the last."""
    if best is None or best["images_seen"] == last["images_seen"]:
        return []
    return [(f"{prefix}best{after(best)}", best, "")]
