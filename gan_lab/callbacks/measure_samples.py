"""How models that sample are measured: against real pictures, within classes, by modes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from gan_lab.callbacks.measure import Measure, Record, after, better
from gan_lab.metrics.classwise import Classes, measure_classes, real_classes
from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.fidelity import Reference, Report, circumstances, measure, references
from gan_lab.metrics.modes import Nearest, StackedDigits


@dataclass
class SampleMeasure(Measure):
    """Fréchet distance and classifier score of n samples."""

    references: dict[str, Reference] = field(default_factory=dict)
    classes: dict[str, Classes] = field(default_factory=dict)
    judge: StackedDigits | None = None
    """Of data whose modes are known."""

    conditional: bool = False
    """Whether samples are asked for by the data's labels: then the distance is measured within classes too."""

    def report(self, model: Any) -> Report:
        same: dict[str, Any] = {"split": self.split, "limit": self.limit, "batch_size": self.batch_size}
        same |= self._same(model.device)
        self.references = self.references or references(self.data, self.extractors, self.n, **same)
        same |= {"known": self.references, "seed": self.seed, "truncation": self.truncation}
        found = measure(model, self.data, self.extractors, self.n, **same)
        if self.judge is not None:
            found.figures.update(self._modes(model, self.judge))
            found.protocol["judge"] = self.judge.describe()
        for each in self.extractors if self.conditional else ():
            found.figures.update(self._within(model, each))
        return found

    def _within(self, model: Any, each: Extractor) -> dict[str, float]:
        same = self._same(model.device)
        if each.name not in self.classes:
            self.classes[each.name] = real_classes(self.data, self.split, each, self.limit, **same)
        how = (self.n, self.seed, self.truncation, self.batch_size, model.device, self.progress)
        return measure_classes(model, self.data, each, self.classes[each.name], *how)

    def counts(self, protocol: Record) -> dict[str, int]:
        return {"samples": protocol["samples"], "real": protocol["real"]}

    def sentence(self, record: Record) -> str:
        figures = record["figures"]
        each = (f"{e.distance} {figures[e.distance]:.2f}, {e.score} {figures[e.score]:.2f}" for e in self.extractors)
        told = [*each, *self._counted(figures), *self._heeded(figures)]
        return f"{', '.join(told)}; {self._against(record['protocol'])}"

    def _counted(self, figures: Record) -> list[str]:
        return [modes_found(figures, self.judge.modes)] if self.judge else []

    def _heeded(self, figures: Record) -> list[str]:
        """What tells of labels."""
        names = [f"{each.distance}_classes" for each in self.extractors if self.conditional]
        told = [f"{name} {figures[name]:.2f}" for name in names]
        if "label_accuracy" in figures:
            told.append(f"{figures['label_accuracy']:.1%} of the label asked for")
        return told

    def _against(self, protocol: Record) -> str:
        return f"{protocol['samples']:,} samples against {protocol['real']:,} pictures of the {self.split} split"

    def tables(self, last: Record, best: Mapping[str, Record]) -> list[RenderableType]:
        return [self._table(last, best, each) for each in self.extractors]

    def _table(self, last: Record, best: Mapping[str, Record], each: Extractor) -> RenderableType:
        figures, table = last["figures"], Table("", each.distance, each.score)
        for name, row, suffix in (
            (f"samples{after(last)}", figures, ""),
            *better("", last, best.get(each.distance)),
            ("pixel Gaussian", figures, "_gaussian"),
        ):
            table.add_row(name, f"{row[each.distance + suffix]:.3f}", f"{row[each.score + suffix]:.3f}")
        table.add_row("real pictures", "", f"{figures[each.score + '_real']:.3f}")
        for told in [*self._counted(figures), *self._heeded(figures)]:
            table.caption = f"{table.caption}, {told}" if table.caption else told
        return Group(f"{self._against(last['protocol'])}, {each.name} features ({each.resizer})", table)


@dataclass
class ModeMeasure(Measure):
    """Modes found among n samples of a mixture in the plane."""

    def report(self, model: Any) -> Report:
        figures = self._modes(model, Nearest(self.data.centres, self.data.deviation))
        protocol = {"samples": self.n, "split": self.split, "seed": self.seed, "truncation": self.truncation}
        protocol |= {"precision": "fp32", "good_within": 3}
        return Report(figures, {}, protocol | circumstances(self.data.describe(), []))

    def counts(self, protocol: Record) -> dict[str, int]:
        return {"samples": protocol["samples"]}

    def distances(self) -> list[str]:
        return ["modes_missed"]

    def sentence(self, record: Record) -> str:
        return f"{modes_found(record['figures'], len(self.data.centres))}; {record['protocol']['samples']:,} samples"

    def tables(self, last: Record, best: Mapping[str, Record]) -> list[RenderableType]:
        table = Table("", "modes", "good samples", "KL from uniform")
        rows = ((f"samples{after(last)}", last["figures"], ""), *better("", last, best.get("modes_missed")))
        for name, row, _ in rows:
            found, good = f"{row['modes']:.0f} of {len(self.data.centres)}", f"{row['modes_good']:.1%}"
            table.add_row(name, found, good, f"{row['modes_kl']:.3f}")
        return [table]


def modes_found(figures: Record, modes: int) -> str:
    """The modes in one line."""
    good = f", {figures['modes_good']:.1%} good" if figures["modes_good"] < 1 else ""
    return f"{figures['modes']:.0f} of {modes:,} modes{good}, KL {figures['modes_kl']:.3f}"
