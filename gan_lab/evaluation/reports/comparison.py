"""Several evaluations in one table and on one page: the work behind ``gan_lab.compare``."""

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gan_lab.common.errors import UserError
from gan_lab.evaluation.reports.evaluations import (
    EvaluationResult,
    protocol_differences,
    read_evaluations,
    shared_metrics,
    sort_evaluations,
    tied_with_best,
)
from gan_lab.evaluation.reports.marks import mark_notes
from gan_lab.evaluation.reports.pages import Cell, embed_file, write_page

Winners = Mapping[str, Set[EvaluationResult]]
"""By metric, the best evaluation and those tied with it."""


@dataclass(frozen=True)
class _Row:
    name: str
    cells: list[Cell]
    counts: str
    source: str | None


def compare(paths: Sequence[str], by: str | None, output: str) -> list[EvaluationResult]:
    """Prints the metrics of several evaluations, the best first, writes a page, and returns the sorted evaluations.

    Example: ``compare(["runs/a", "runs/b"], by="fd_grey", output="compare.html")``

    Args:
        paths: JSON files that gan_lab.evaluate wrote, or run folders that contain one; duplicates count once.
        by: the metric to sort by; None takes the first that all have.
        output: path of the page.

    Raises:
        UserError: for fewer than two evaluations, for files without one, and if they share no metric.
    """
    evaluations = read_evaluations(list(dict.fromkeys(_evaluation_file(path) for path in paths)))
    if len(evaluations) < 2:
        raise UserError("There is nothing to compare: give two evaluations or more, files or run folders.")
    names = shared_metrics(evaluations)
    if not names:
        raise UserError("These evaluations share no metric: evaluate them with the same extractors and metrics.")
    by = by or names[0]
    evaluations = sort_evaluations(evaluations, by)
    winners = {name: tied_with_best(evaluations, name) for name in names}
    notes = mark_notes(each.metrics[name].mark for each in evaluations for name in names)
    warnings = [*protocol_differences(evaluations), *notes]
    # Names of runs may contain brackets, which are not markup.
    Console(markup=False, emoji=False).print(_table(evaluations, winners, by), *warnings, sep="\n")
    rows = [_row(each, winners) for each in evaluations]
    title = "Comparison of runs"
    path = write_page(Path(output), "compare.html.j2", title=title, by=by, names=names, runs=rows, warnings=warnings)
    print(f"Wrote {path}")
    return evaluations


def _evaluation_file(text: str) -> Path:
    """Returns the absolute path of an evaluation; for a run's folder that of its newest one."""
    path = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 (links keep the names that they were given)
    if not path.is_dir():
        return path
    files = filter(Path.is_file, path.glob("*evaluation.json"))  # not links that lead nowhere
    found = sorted(files, key=lambda each: each.stat().st_mtime)
    if not found:
        raise UserError(f"{text} contains no evaluation: run python -m gan_lab.evaluate checkpoint={text}.")
    return found[-1]


def _row(evaluation: EvaluationResult, winners: Winners) -> _Row:
    cells = [Cell(_text(evaluation, name), evaluation in best) for name, best in winners.items()]
    return _Row(evaluation.name, cells, evaluation.counts, embed_file(evaluation.folder / "samples.png"))


def _table(evaluations: Sequence[EvaluationResult], winners: Winners, by: str) -> Table:
    """Makes a table for the terminal with a row for each metric, the best values in bold."""
    table = Table(*(Column(name, overflow="fold") for name in ("", *(each.name for each in evaluations))))
    table.caption = f"sorted by {by}"
    for name, best in winners.items():
        table.add_row(name, *(Text(_text(each, name), style="bold" if each in best else "") for each in evaluations))
    return table


def _text(evaluation: EvaluationResult, name: str) -> str:
    row = evaluation.metrics[name]
    return f"{row.value:.4g}" + (f" ± {row.spread:.2g}" if row.spread is not None else "") + row.mark
