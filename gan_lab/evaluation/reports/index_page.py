"""The page over several runs: a row for each run, their results, curves, last samples and differing settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from gan_lab.evaluation.reports.charts import COLOURS, bar_chart
from gan_lab.evaluation.reports.index_table import Column, comparability_warnings, index_columns
from gan_lab.evaluation.reports.jobs import Job, common_name, seed_rows, shortened, swept_keys, values_over_seeds
from gan_lab.evaluation.reports.marks import mark_notes
from gan_lab.evaluation.reports.pages import Link, embed_file, link, write_page
from gan_lab.evaluation.reports.references import references
from gan_lab.evaluation.reports.run_charts import Chart, make_chart

THUMBNAIL = 416
"""Width of a run's last sample grid, in pixels."""

REPORT = "report.html"
"""Name of a run's page in its folder."""

MORE = {"metrics": "metrics", "settings": "settings that differ", "protocol": "parts of protocols"}
"""Groups of the table's columns, and their names where they are shown on demand."""


@dataclass(frozen=True)
class _Thumbnail:
    name: str
    source: str
    page: Link | None


def write_index_page(
    path: Path, title: str, jobs: Sequence[Job], pages: Mapping[Path, Path] | None = None, kind: str = "job"
) -> Path:
    """Writes the page over several jobs or runs and returns its path.

    Args:
        path: path of the page.
        title: the page's title.
        jobs: the jobs or runs.
        pages: pages of single runs, by the runs' folders; None takes those that exist in the folders.
        kind: heading of the first column.
    """
    links = [_run_link(path, job, pages) for job in jobs]
    names = job_names(jobs)
    histories = [job.history for job in jobs if job.history]
    columns = index_columns(jobs, kind)
    below = list(references(columns))
    return write_page(
        path,
        "index.html.j2",
        title=title,
        columns=columns,
        links=links,
        more=_more(columns),
        references=below,
        notes=mark_notes(cell.text for column in columns if column.group == "metrics" for cell in column.cells),
        bold=any(cell.best for column in columns for cell in column.cells),
        seeds=_over_seeds(jobs),
        warnings=[*comparability_warnings(histories), *(each.warning for each in below if each.warning)],
        chart=result_chart(jobs),
        charts=_progress_charts(dict(zip(names, jobs, strict=True))),
        images=_thumbnails(names, jobs, links),
    )


def _more(columns: Sequence[Column]) -> str:
    """Names the columns that are shown on demand: "6 metrics, 120 settings that differ"; empty without any."""
    groups = [column.group for column in columns if column.more]
    return ", ".join(f"{groups.count(group)} {name}" for group, name in MORE.items() if group in groups)


def _over_seeds(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """Returns the rows of means over seeds, if any setting has several."""
    rows = seed_rows(jobs)
    return rows if any(int(row["seeds"]) > 1 for row in rows) else []


def _thumbnails(names: Sequence[str], jobs: Sequence[Job], links: Sequence[Link | None]) -> list[_Thumbnail]:
    sources = [embed_file(job.history.folder / "samples.png", THUMBNAIL) if job.history else None for job in jobs]
    return [_Thumbnail(name, source, page) for name, source, page in zip(names, sources, links, strict=True) if source]


def _run_link(index: Path, job: Job, pages: Mapping[Path, Path] | None) -> Link | None:
    if job.history is None:
        return None
    page = job.history.folder / REPORT if pages is None else pages.get(job.history.folder)
    return link(index, page) if page and (pages or page.is_file()) else None


def _progress_charts(jobs: Mapping[str, Job]) -> list[Chart]:
    """Charts each run's monitored metric, or its first one, over images seen, for as many runs as can be told apart."""
    series: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, job in jobs.items():
        records = [record for record in job.history.records if record["figures"]] if job.history else []
        metric = job.best[0] if job.best else next((next(iter(record["figures"])) for record in records), "")
        points = [(float(r["images_seen"]), r["figures"][metric]) for r in records if metric in r["figures"]]
        if points:
            series.setdefault(metric, {})[name] = points
    shown = {metric: each for metric, each in series.items() if len(each) <= 2 * COLOURS}
    return [make_chart(name, each) for name, each in shown.items() if any(len(points) > 1 for points in each.values())]


def job_names(jobs: Sequence[Job]) -> list[str]:
    """Returns a name for each job: its number and settings.

    Runs outside a sweep are named by their settings, if these are short, or by their titles, if these are unique.
    """
    keys = swept_keys(jobs)
    settings = [" ".join(shortened(job.overrides[key]) for key in keys if key in job.overrides) for job in jobs]
    titles = [job.title for job in jobs]
    short = all(len(setting) <= 32 for setting in settings)
    choices = [settings, titles] if short else [titles]
    unique = (names for names in choices if all(names) and len(set(names)) == len(names))
    numbered = [f"{job.number} {setting}".strip() for job, setting in zip(jobs, settings, strict=True)]
    return next(unique, numbered) if all(titles) else numbered


def result_chart(jobs: Sequence[Job]) -> str:
    """Charts the last metrics as bars, over seeds their means and deviations; empty if the metrics differ in name."""
    name = common_name(job.last for job in jobs)
    groups = {" ".join(filter(None, setting)): values for (setting, _), values in values_over_seeds(jobs).items()}
    if name and any(len(values) > 1 for values in groups.values()):
        means = {setting: mean(values) for setting, values in groups.items()}
        deviations = {setting: stdev(values) for setting, values in groups.items() if len(values) > 1}
        return bar_chart("Results: means and standard deviations over seeds", means, name, deviations=deviations)
    values = {label: job.last[1] for label, job in zip(job_names(jobs), jobs, strict=True) if job.last}
    return bar_chart("Results of the jobs", values, name) if values and name else ""
