"""How each kind of model is measured, and how its figures are told: samples, and translations."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from gan_lab.metrics.extractors import Extractor, default_for, extractor
from gan_lab.metrics.fidelity import Reference, Report, measure, references
from gan_lab.metrics.targets import Targets, counts, ends, targets
from gan_lab.metrics.translation import Pairs, comparing, measure_translation
from gan_lab.types import RealImages, Samples, Translates, TwoDomains

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

    @abstractmethod
    def table(self, last: Record, best: Mapping[str, Record], each: Extractor) -> RenderableType:
        """One extractor's figures, and what they are to be compared with.

        Args:
            last: the newest record.
            best: for each distance's name the figures where it was lowest, and ``images_seen``.
        """

    def _same(self, device: Any) -> dict[str, Any]:
        return {"device": device, "cache_dir": self.cache_dir, "progress": self.progress}


@dataclass
class SampleMeasure(Measure):
    """Fréchet distance and classifier score of n samples."""

    references: dict[str, Reference] = field(default_factory=dict)

    def report(self, model: Any) -> Report:
        same: dict[str, Any] = {"split": self.split, "limit": self.limit, "batch_size": self.batch_size}
        same |= self._same(model.device)
        self.references = self.references or references(self.data, self.extractors, self.n, **same)
        same |= {"known": self.references, "seed": self.seed, "truncation": self.truncation}
        return measure(model, self.data, self.extractors, self.n, **same)

    def counts(self, protocol: Record) -> dict[str, int]:
        return {"samples": protocol["samples"], "real": protocol["real"]}

    def sentence(self, record: Record) -> str:
        figures = record["figures"]
        each = (f"{e.distance} {figures[e.distance]:.2f}, {e.score} {figures[e.score]:.2f}" for e in self.extractors)
        return f"{', '.join(each)}; {self._against(record['protocol'])}"

    def _against(self, protocol: Record) -> str:
        return f"{protocol['samples']:,} samples against {protocol['real']:,} pictures of the {self.split} split"

    def table(self, last: Record, best: Mapping[str, Record], each: Extractor) -> RenderableType:
        figures, table = last["figures"], Table("", each.distance, each.score)
        for name, row, suffix in (
            (f"samples{_after(last)}", figures, ""),
            *_better("", last, best.get(each.distance)),
            ("pixel Gaussian", figures, "_gaussian"),
        ):
            table.add_row(name, f"{row[each.distance + suffix]:.3f}", f"{row[each.score + suffix]:.3f}")
        table.add_row("real pictures", "", f"{figures[each.score + '_real']:.3f}")
        return Group(f"{self._against(last['protocol'])}, {each.name} features ({each.resizer})", table)


@dataclass
class TranslationMeasure(Measure):
    """Fréchet and kernel distance by direction, and what single pictures are compared by; on the test split."""

    pairs: Pairs = field(default_factory=dict)
    targets: Targets = field(default_factory=dict)

    def report(self, model: Any) -> Report:
        same = self._same(model.device)
        self.targets = self.targets or targets(model, self.data, self.extractors, self.n, **same)
        known: dict[str, Any] = {"known": self.targets, "pairs": self.pairs, "batch_size": self.batch_size}
        return measure_translation(model, self.data, self.extractors, self.n, self.seed, **known, **same)

    def counts(self, protocol: Record) -> dict[str, int]:
        directions = protocol["directions"].items()
        return {f"{kind}_{name}": n for name, numbers in directions for kind, n in numbers.items()}

    def sentence(self, record: Record) -> str:
        figures, directions = record["figures"], record["protocol"]["directions"]
        told = [
            f"{name} {figures[name]:.2f} (untranslated {figures[f'{name}_untranslated']:.2f})"
            for each in self.extractors
            for name in (f"{each.distance}_{direction}" for direction in directions)
        ]
        told += [f"{name} {figures[name]:.3f}" for name in _pictures(figures)]
        numbers = (f"{name} {n['translated']:,} against {n['real']:,}" for name, n in directions.items())
        return f"{', '.join(told)}; {', '.join(numbers)} test pictures"

    def table(self, last: Record, best: Mapping[str, Record], each: Extractor) -> RenderableType:
        figures, directions = last["figures"], last["protocol"]["directions"]
        table = Table("", each.distance, f"{each.kernel} ± error", "N")
        for direction, n in directions.items():
            source, target = ends(direction)
            for name, row, suffix in (
                (f"{direction}{_after(last)}", figures, ""),
                *_better(f"{direction}, ", last, best.get(each.distance)),
                (f"{source} untranslated", figures, "_untranslated"),
                (f"{target}'s own train pictures", figures, "_real"),
            ):
                key = f"{each.kernel}_{direction}{suffix}"
                kernel = f"{row[key]:.5f} ± {row[key + '_error']:.5f}"
                distance = f"{row[f'{each.distance}_{direction}{suffix}']:.3f}"
                made = n["floor" if suffix == "_real" else "translated"]
                table.add_row(name, distance, kernel, f"{made:,} / {n['real']:,}")
            table.add_section()
        others = Table("picture by picture", "")
        for name in _pictures(figures):
            others.add_row(name, f"{figures[name]:.4f}")
        title = f"Against the target's test pictures, {each.name} features ({each.resizer})"
        return Group(title, table, *([others] if others.row_count else []))


def _after(record: Record) -> str:
    return f" after {record['images_seen']:,} images" if "images_seen" in record else ""


def _better(prefix: str, last: Record, best: Record | None) -> list[tuple[str, Record, str]]:
    """The row of the best measurement, if that was another than the last."""
    if best is None or best["images_seen"] == last["images_seen"]:
        return []
    return [(f"{prefix}best{_after(best)}", best, "")]


def _pictures(figures: Record) -> list[str]:
    """The figures that are means over single pictures."""
    kinds = ("cycle_", "identity_", "l1_", "wrong_", "ssim_", "pd_", "lpips_")
    return [name for name in figures if name.startswith(kinds)]


def measure_for(
    model: Any,
    data: Any,
    n: int,
    names: Sequence[str] | None = None,
    weights: Mapping[str, str | None] | None = None,
    paired: bool | None = None,
    **options: Any,
) -> Measure | None:
    """The way to measure this model on these data; None where there is nothing to compare.

    Args:
        names: of extractors; None takes ours for the data's channels.
        weights: files of extractors and of LPIPS' trunks, by name.
        paired: whether picture i of "a" belongs to picture i of "b"; None takes what the data say.
        options: what ``Measure`` takes.

    Raises:
        UserError: for an unknown extractor, weights that are missing or not what they should be, and too few pictures
            to translate.
    """
    weights = dict(weights or {})
    if isinstance(model, Translates) and isinstance(data, TwoDomains):
        counts(model, data, n)
        grey = all(domain.channels == 1 and not domain.labels for domain in model.domains.values())
        extractors = _extractors(names or [default_for(1 if grey else 3)], weights)
        pairs = comparing(model, data, weights) if (data.paired if paired is None else paired) else {}
        return TranslationMeasure(data, n, extractors, **options, pairs=pairs)
    if isinstance(model, Samples) and isinstance(data, RealImages):
        return SampleMeasure(data, n, _extractors(names or [default_for(data.channels)], weights), **options)
    return None


def _extractors(names: Sequence[str], weights: Mapping[str, str | None]) -> list[Extractor]:
    return [extractor(name, weights.get(name)) for name in names]
