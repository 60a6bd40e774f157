"""Files that a sweep writes when it ends: a table of its jobs as CSV and SVG, and a page."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from gan_lab.common.atomic import atomic_write
from gan_lab.evaluation.reports.charts import standalone
from gan_lab.evaluation.reports.index_page import result_chart, write_index_page
from gan_lab.evaluation.reports.jobs import Job, job_rows, seed_rows, without_empty_columns


def write_sweep(folder: Path, jobs: Sequence[Job]) -> tuple[list[Table], list[Path]]:
    """Writes the summary of a sweep; returns tables to print, and the paths of the files.

    The files are ``table.csv``, ``seeds.csv`` if seeds were swept, ``table.svg`` if there are metrics, and
    ``index.html`` with all of this and the samples.
    """
    rows, seeds = job_rows(jobs), seed_rows(jobs)
    written = [_write_csv(folder / "table.csv", rows)]
    if seeds:
        written.append(_write_csv(folder / "seeds.csv", seeds))
    chart = result_chart(jobs)
    if chart:
        written.append(folder / "table.svg")
        with atomic_write(written[-1]) as temporary:
            temporary.write_text(standalone(chart), encoding="utf-8")
    written.append(write_index_page(folder / "index.html", f"Sweep {folder.name}", jobs))
    return [_printed(*without_empty_columns(each)) for each in (rows, seeds) if each], written


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return path


def _printed(head: Sequence[str], body: Sequence[Sequence[str]]) -> Table:
    """Makes a table for the terminal, without the column of error messages, which are long."""
    table = Table()
    for name in head:
        table.add_column(escape(name), overflow="fold")
    for cells in body:
        table.add_row(*map(escape, cells))
    for column in [column for column in table.columns if column.header == "error"]:
        table.columns.remove(column)
    return table
