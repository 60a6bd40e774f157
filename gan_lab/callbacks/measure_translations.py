"""How models that translate are measured: by direction, and picture by picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from gan_lab.callbacks.measure import Measure, Record, after, better
from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.fidelity import Report
from gan_lab.metrics.targets import Targets, ends, targets
from gan_lab.metrics.translation import Pairs, measure_translation


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

    def tables(self, last: Record, best: Mapping[str, Record]) -> list[RenderableType]:
        return [self._table(last, best, each) for each in self.extractors]

    def _table(self, last: Record, best: Mapping[str, Record], each: Extractor) -> RenderableType:
        figures, directions = last["figures"], last["protocol"]["directions"]
        table = Table("", each.distance, f"{each.kernel} ± error", "N")
        for direction, n in directions.items():
            source, target = ends(direction)
            for name, row, suffix in (
                (f"{direction}{after(last)}", figures, ""),
                *better(f"{direction}, ", last, best.get(each.distance)),
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


def _pictures(figures: Record) -> list[str]:
    """The figures that are means over single pictures."""
    kinds = ("cycle_", "identity_", "l1_", "wrong_", "ssim_", "pd_", "lpips_")
    return [name for name in figures if name.startswith(kinds)]
