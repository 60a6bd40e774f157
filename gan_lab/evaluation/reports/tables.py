"""How figures are told: in one line while a model trains, in a table at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

Record = Mapping[str, Any]

BESIDE = ("real", "untranslated", "gaussian", "reconstructed", "elbo", "repeat", "black")
"""What a figure may be compared with, by the ends of names."""

SPREAD = ("error", "std")


@dataclass
class Row:
    """One figure: its name and value, by how much it may err, and the same of other sets.

    ``spread`` is a standard error, unless it is said to be a deviation over splits.
    """

    name: str
    value: float
    spread: float | None = None
    spread_is_error: bool = True
    beside: dict[str, float] = field(default_factory=dict)


def rows(figures: Mapping[str, float], classes: bool = False) -> list[Row]:
    """Figures put together with what belongs to them.

    Args:
        classes: also those of single classes.
    """
    found: dict[str, Row] = {}
    for name, value in figures.items():
        base, _, end = name.rpartition("_")
        if base in found and end in SPREAD:
            found[base].spread, found[base].spread_is_error = value, end == "error"
        elif base in found and end in BESIDE:
            found[base].beside[end] = value
        elif not _of_a_set(name) and (classes or "_class_" not in name):
            found[name] = Row(name, value)
    return list(found.values())


def _of_a_set(name: str) -> bool:
    """Whether it is the error of what a figure is compared with."""
    base, _, end = name.rpartition("_")
    return end in SPREAD and base.rpartition("_")[2] in BESIDE


def sentence(record: Record, against: str) -> str:
    """All figures in one line."""
    told = []
    for row in rows(record["figures"]):
        idle = f" (untranslated {row.beside['untranslated']:.4g})" if "untranslated" in row.beside else ""
        told.append(f"{row.name} {row.value:.4g}{idle}")
    return f"{', '.join(told)}; {against}"


def table(last: Record, against: str, best: Record | None = None) -> Table:
    """Every figure in a row, and what it is to be compared with.

    Args:
        last: the newest record.
        against: what was measured against what.
        best: figures, and ``images_seen``, of where the first one was lowest, if that was another time.
    """
    found = rows(last["figures"])
    beside = [end for end in BESIDE if any(end in row.beside for row in found)]
    made = Table("", f"made{_after(last)}", "±", *(HEADINGS[end] for end in beside), caption=against, padding=0)
    if best is not None and best["images_seen"] != last["images_seen"]:
        made.add_column(f"best{_after(best)}")
    made.columns[0].overflow, made.columns[0].no_wrap = "fold", True
    for row in found:
        cells = [f"{row.value:.4g}", "" if row.spread is None else f"{row.spread:.2g}"]
        cells += [f"{row.beside[end]:.4g}" if end in row.beside else "" for end in beside]
        if len(made.columns) > len(cells) + 1:
            cells.append(f"{best[row.name]:.4g}" if best and row.name in best else "")
        made.add_row(row.name, *cells)
    for column in made.columns[1:]:  # where it is narrow, names and headings give way before digits do
        column.min_width = max((len(str(cell)) for cell in column.cells), default=1)
    return made


HEADINGS = {
    "real": "real pictures",
    "untranslated": "untranslated",
    "gaussian": "pixel Gaussian",
    "reconstructed": "made again",
    "elbo": "by one sample",
    "repeat": "last frame again",
    "black": "black frames",
}


def _after(record: Record) -> str:
    return f" after {record['images_seen']:,} images" if "images_seen" in record else ""
