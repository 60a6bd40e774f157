"""The page over several runs: a row for each run, their results, curves, last samples and differing settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from gan_lab.common.runs import differing_keys, flatten
from gan_lab.evaluation.reports.charts import COLOURS, bar_chart
from gan_lab.evaluation.reports.evaluations import EvaluationResult, protocol_differences, tied_with_best
from gan_lab.evaluation.reports.history import History
from gan_lab.evaluation.reports.jobs import (
    Job,
    common_name,
    job_rows,
    metric_columns,
    seed_rows,
    shortened,
    swept_keys,
    values_over_seeds,
    without_empty_columns,
)
from gan_lab.evaluation.reports.pages import Cell, Link, embed_file, link, setting_text, write_page
from gan_lab.evaluation.reports.run_charts import Chart, make_chart
from gan_lab.evaluation.reports.tables import MetricRow, metric_rows

THUMBNAIL = 416
"""Width of a run's last sample grid, in pixels."""

REPORT = "report.html"
"""Name of a run's page in its folder."""

SettingsTable = Sequence[tuple[str, list[str]]]
"""Keys with their values in each run."""


@dataclass(frozen=True)
class _Row:
    cells: list[Cell]
    page: Link | None


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
    head, rows = _rows(jobs, links)
    return write_page(
        path,
        "index.html.j2",
        title=title,
        head=[kind, *head[1:]],
        jobs=rows,
        bold=any(cell.best for row in rows for cell in row.cells),
        seeds=seed_rows(jobs),
        warnings=_comparability_warnings(histories),
        chart=result_chart(jobs),
        charts=_progress_charts(dict(zip(names, jobs, strict=True))),
        images=_thumbnails(names, jobs, links),
        names=[name for name, job in zip(names, jobs, strict=True) if job.history],
        differing=setting_differences(histories),
    )


def _rows(jobs: Sequence[Job], links: Sequence[Link | None]) -> tuple[list[str], list[_Row]]:
    head, body = without_empty_columns(job_rows(jobs))
    best = best_jobs(jobs)
    rows = [
        _Row([Cell(text, number in best.get(name, ())) for name, text in zip(head, texts, strict=True)], page)
        for number, (texts, page) in enumerate(zip(body, links, strict=True))
    ]
    return head, rows


def _thumbnails(names: Sequence[str], jobs: Sequence[Job], links: Sequence[Link | None]) -> list[_Thumbnail]:
    sources = [embed_file(job.history.folder / "samples.png", THUMBNAIL) if job.history else None for job in jobs]
    return [_Thumbnail(name, source, page) for name, source, page in zip(names, sources, links, strict=True) if source]


def best_jobs(jobs: Sequence[Job]) -> dict[str, set[int]]:
    """Returns the positions of the best jobs by the headings of the metric columns.

    Jobs that do not differ significantly from the best count as best; a column in which all do is left out.
    """
    best, last = metric_columns(jobs)
    candidates = {
        best: [MetricRow(*job.best) if job.best else None for job in jobs],
        last: [_last_row(job) for job in jobs],
    }
    found = {heading: _best_positions(rows) for heading, rows in candidates.items()}
    return {heading: positions for heading, positions in found.items() if positions}


def _last_row(job: Job) -> MetricRow | None:
    """Returns the job's last metric with its error."""
    if job.last is None:
        return None
    rows = metric_rows(job.info.get("figures", {}))
    return next((row for row in rows if row.name == job.last[0]), MetricRow(*job.last))


def _best_positions(rows: Sequence[MetricRow | None]) -> set[int]:
    names = {row.name for row in rows if row}
    if len(names) != 1:
        return set()
    (name,) = names
    positions = {EvaluationResult("", {name: row}, {}, "", Path()): number for number, row in enumerate(rows) if row}
    ties = tied_with_best(list(positions), name)
    return {positions[each] for each in ties} if 0 < len(ties) < len(positions) else set()


def _comparability_warnings(runs: Sequence[History]) -> list[str]:
    """Returns a sentence for each difference between the protocols of the last metrics."""
    records = {run.folder: run.last_record() for run in runs}
    evaluations = [EvaluationResult("", {}, r["protocol"], "", folder) for folder, r in records.items() if r]
    return protocol_differences(evaluations)


def _run_link(index: Path, job: Job, pages: Mapping[Path, Path] | None) -> Link | None:
    if job.history is None:
        return None
    page = job.history.folder / REPORT if pages is None else pages.get(job.history.folder)
    return link(index, page) if page and (pages or page.is_file()) else None


def setting_differences(runs: Sequence[History]) -> list[tuple[str, list[str]]]:
    """Returns the settings in which runs differ, outermost keys first, with each run's value (empty if it has none)."""
    keys = {key for run in runs[1:] for key in differing_keys(runs[0].config, run.config)}
    settings = [dict(flatten(run.config)) for run in runs]
    ordered = sorted(keys, key=lambda key: (key.count("."), key))
    return [(key, [setting_text(each[key]) if key in each else "" for each in settings]) for key in ordered]


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


def informative_keys(table: SettingsTable, most: int) -> list[str]:
    """Chooses keys of ``setting_differences`` with short values that describe what was trained.

    Each of them separates the runs in a way that no earlier one does.
    """
    partitions: dict[tuple[int, ...], str] = {}
    for key, values in table:
        long = any(len(value) > 40 or "/" in value for value in values)
        if not long and key != "name" and key.partition(".")[0] not in ("logger", "callbacks"):
            partitions.setdefault(tuple(values.index(value) for value in values), key)
    return list(partitions.values())[:most]


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
