"""Several evaluations in one table and on one page: the work behind ``gan_lab.compare``."""

import os
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gan_lab.common.errors import UserError
from gan_lab.evaluation.reports.compare import Run, differences, order, read_runs, shared, ties
from gan_lab.evaluation.reports.pages import picture, write_page


def compare(paths: Sequence[str], by: str | None, output: str) -> list[Run]:
    """Prints and writes the figures of several evaluations, the best first; returns them in that order.

    Args:
        paths: JSON files that gan_lab.evaluate wrote, or run folders that hold one; what is given twice counts once.
        by: the figure; None takes the first that all have.
        output: the page.

    Raises:
        UserError: for fewer than two, for files that hold none, and where they share no figure.
    """
    runs = read_runs(list(dict.fromkeys(_file(path) for path in paths)))
    if len(runs) < 2:
        raise UserError("There is nothing to compare: give two evaluations or more, files or run folders.")
    names = shared(runs)
    if not names:
        raise UserError("These evaluations share no figure: measure them with the same extractors and metrics.")
    by = by or names[0]
    runs = order(runs, by)
    best = {name: ties(runs, name) for name in names}
    warnings = differences(runs)
    # Names of runs are any text: what stands in brackets is no markup.
    Console(markup=False, emoji=False).print(_table(runs, best, by), *warnings, sep="\n")
    rows = [
        {
            "name": run.name,
            "cells": [{"text": _text(run, name), "best": run in best[name]} for name in names],
            "counts": run.counts,
            "source": picture(run.folder / "samples.png"),
        }
        for run in runs
    ]
    path = Path(output)
    write_page(path, "compare.html.j2", title="Runs compared", by=by, names=names, runs=rows, warnings=warnings)
    print(f"Wrote {path}")
    return runs


def _file(given: str) -> Path:
    """The absolute path of an evaluation; a run's folder stands for its newest."""
    path = Path(os.path.abspath(Path(given).expanduser()))  # noqa: PTH100 (links keep the names that they were given)
    if not path.is_dir():
        return path
    found = sorted(path.glob("*evaluation.json"), key=lambda each: each.stat().st_mtime)
    if not found:
        raise UserError(f"{given} holds no evaluation: run python -m gan_lab.evaluate checkpoint={given}.")
    return found[-1]


def _table(runs: Sequence[Run], best: Mapping[str, Set[Run]], by: str) -> Table:
    """A row for each figure, the best in bold."""
    shown = Table(*(Column(name, overflow="fold") for name in ("", *(run.name for run in runs))))
    shown.caption = f"sorted by {by}"
    for name, winners in best.items():
        shown.add_row(name, *(Text(_text(run, name), style="bold" if run in winners else "") for run in runs))
    return shown


def _text(run: Run, name: str) -> str:
    row = run.figures[name]
    return f"{row.value:.4g}" + (f" ± {row.spread:.2g}" if row.spread is not None else "")
