"""Files that a sweep writes when it ends: a table of its jobs as CSV and SVG, and a page."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from gan_lab.common.atomic import atomic_write
from gan_lab.evaluation.reports.charts import standalone
from gan_lab.evaluation.reports.index_page import result_chart, write_index_page
from gan_lab.evaluation.reports.jobs import Job, job_rows, seed_rows, without_empty_columns
from gan_lab.evaluation.reports.plain_tables import printed, write_csv


def write_sweep(folder: Path, jobs: Sequence[Job]) -> tuple[list[Table], list[Path]]:
    """Writes the summary of a sweep; returns tables to print, and the paths of the files.

    The files are ``table.csv``, ``seeds.csv`` if seeds were swept, ``table.svg`` if there are metrics, and
    ``index.html`` with all of this and the samples.
    """
    rows, seeds = job_rows(jobs), seed_rows(jobs)
    written = [write_csv(folder / "table.csv", rows)]
    if seeds:
        written.append(write_csv(folder / "seeds.csv", seeds))
    chart = result_chart(jobs)
    if chart:
        written.append(folder / "table.svg")
        with atomic_write(written[-1]) as temporary:
            temporary.write_text(standalone(chart), encoding="utf-8")
    written.append(write_index_page(folder / "index.html", f"Sweep {folder.name}", jobs))
    return [printed(*without_empty_columns(each)) for each in (rows, seeds) if each], written
