"""Several evaluations side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_lab.presenting import Row, rows
from gan_lab.types import UserError

HIGHER = (
    "cs",
    "is",
    "precision",
    "recall",
    "density",
    "coverage",
    "authenticity",
    "label",
    "modes",
    "cas",
    "diversity",
)
"""How the names of figures begin that are better the higher they are …"""

LOWER = ("modes_missed", "modes_kl")
"""… except these."""

NEITHER = ("sharpness", "brightness", "contrast", "colourfulness")
"""Of these neither is better."""


@dataclass(frozen=True)
class Run:
    """One evaluation: its name, its figures by name, its protocol, and the picture beside its checkpoint, if any."""

    name: str
    figures: Mapping[str, Row]
    protocol: Mapping[str, Any]
    folder: Path


def read_run(path: Path) -> Run:
    """The evaluation in a JSON file.

    Raises:
        UserError: if it holds none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = {row.name: row for row in rows(record["figures"])}
        return Run(f"{path.parent.name}/{path.stem}", found, record["protocol"], path.parent)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no evaluation: give files that gan_lab.evaluate wrote.") from error


def order(runs: Sequence[Run], by: str) -> list[Run]:
    """The best first.

    Raises:
        UserError: if some have no such figure.
    """
    without = [run.name for run in runs if by not in run.figures]
    if without:
        raise UserError(f"{without[0]} has no {by}: give by= one of {', '.join(shared(runs)) or 'their figures'}.")
    return sorted(
        runs, key=lambda run: run.figures[by].value, reverse=by.startswith(HIGHER) and not by.startswith(LOWER)
    )


def shared(runs: Sequence[Run]) -> list[str]:
    """The figures that all have."""
    return [name for name in runs[0].figures if all(name in run.figures for run in runs)]


def ties(runs: Sequence[Run], name: str) -> set[str]:
    """The names of the runs that are the best, or differ from it by less than twice the error of the difference."""
    best = order(runs, name)[0].figures[name]
    found: set[str] = set()
    if name.startswith(NEITHER):
        return found
    for run in runs:
        own = run.figures[name]
        error = ((own.spread or 0) ** 2 + (best.spread or 0) ** 2) ** 0.5 if own.spread_is_error else 0
        if abs(own.value - best.value) <= 2 * error:
            found.add(run.name)
    return found


def differences(runs: Sequence[Run]) -> list[str]:
    """In what the protocols differ that figures depend on, in a sentence each."""
    found = []
    for key in ("samples", "real", "split", "truncation", "extractors"):
        values = {json.dumps(run.protocol.get(key), sort_keys=True) for run in runs}
        if len(values) > 1:
            found.append(f"These runs differ in {key}, so their figures are not comparable as they stand.")
    return found
