"""What a sweep leaves behind when it ends: a table of its jobs, the same as CSV, and a page."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from gan_lab.common.atomic import atomic_write
from gan_lab.evaluation.reports.charts import alone
from gan_lab.evaluation.reports.index import reached, write_index
from gan_lab.evaluation.reports.jobs import Job, lines, over_seeds, shown


def write_sweep(folder: Path, jobs: Sequence[Job]) -> tuple[list[Table], list[Path]]:
    """Writes ``table.csv``, ``seeds.csv`` where seeds were swept, ``table.svg`` where there are figures, and
    ``index.html`` with all of it and the samples; the tables to print, and what was written.
    """
    rows, seeds = lines(jobs), over_seeds(jobs)
    written = [_write_csv(folder / "table.csv", rows)]
    if seeds:
        written.append(_write_csv(folder / "seeds.csv", seeds))
    chart = reached(jobs)
    if chart:
        written.append(folder / "table.svg")
        with atomic_write(written[-1]) as beside:
            beside.write_text(alone(chart), encoding="utf-8")
    written.append(write_index(folder / "index.html", f"Sweep {folder.name}", jobs))
    return [_printed(*shown(each)) for each in (rows, seeds) if each], written


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with atomic_write(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return path


def _printed(head: Sequence[str], body: Sequence[Sequence[str]]) -> Table:
    """Without the errors, which are sentences."""
    made = Table()
    for name in head:
        made.add_column(escape(name), overflow="fold")
    for cells in body:
        made.add_row(*map(escape, cells))
    for column in [column for column in made.columns if column.header == "error"]:
        made.columns.remove(column)
    return made
