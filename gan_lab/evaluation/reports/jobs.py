"""Several runs, such as the jobs of a sweep, as rows of a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import cast

from gan_lab.common.runs import IGNORED_KEYS, differing_keys, flatten, read_json
from gan_lab.evaluation.reports.history import History, is_run, read_run
from gan_lab.evaluation.reports.pages import setting_text
from gan_lab.evaluation.reports.records import JobRecord, Protocol, RunInfo
from gan_lab.evaluation.reports.tables import MetricRow, metric_rows

JOBS, SEED, TARGET = "jobs", "seed", "._target_"
BEST, LAST = "best", "last metric"
"""Headings of the columns of metrics if the jobs' metrics differ in name."""

Metric = tuple[str, float]
"""A metric's name and value."""


@dataclass(frozen=True)
class Job:
    """One job of a sweep, or one of several runs.

    Args:
        number: number of the job, from 0.
        overrides: values of the settings that the sweep varied, by key.
        state: how it ended.
        error: message of an error that ended it.
        run: the run's folder as the sweep recorded it.
        history: what the run has written; None if it never began.
        title: name of the run; a sweep's jobs go by their number.
    """

    number: int
    overrides: Mapping[str, str]
    state: str
    error: str
    run: str
    history: History | None
    title: str = ""

    @property
    def name(self) -> str:
        return self.title or str(self.number)

    @property
    def info(self) -> RunInfo:
        return self.history.info if self.history else {}

    @property
    def best(self) -> Metric | None:
        """Name and value of the metric that the best checkpoint was chosen by."""
        return self.history.best if self.history else None

    @property
    def last(self) -> Metric | None:
        """The first metric of the final tier."""
        return next(((row.name, row.value) for row in final_metrics(self.info).values()), None)


def final_metrics(info: RunInfo, protocol: Protocol | None = None) -> dict[str, MetricRow]:
    """Returns the metrics of the final tier by name, marked as their protocol says."""
    rows = metric_rows(info.get("figures", {}), protocol=protocol)
    return {row.name: row for row in rows if not row.name.startswith("quick_") and "/" not in row.name}


def read_jobs(folder: Path) -> list[Job]:
    """Reads the jobs recorded in a sweep's folder ``jobs``, by number; a damaged record gives a job without a run."""
    records = {int(path.stem): read_json(path) for path in folder.glob("*.json") if path.stem.isdecimal()}
    return [_job(number, records[number], folder.absolute().parent) for number in sorted(records)]


def _job(number: int, content: Mapping[str, object], sweep: Path) -> Job:
    """Makes a job of its record, whose file has its number.

    Args:
        number: of the job.
        content: the record; other content if it is damaged.
        sweep: the sweep's folder.
    """
    overrides = content.get("overrides")
    if not (isinstance(overrides, list) and isinstance(content.get("state"), str)):
        return Job(number, {}, "unknown", "its record is damaged", "", None)
    return _recorded_job(number, cast(JobRecord, content), sweep)


def _recorded_job(number: int, record: JobRecord, sweep: Path) -> Job:
    overrides = dict(str(each).lstrip("+").partition("=")[::2] for each in record["overrides"])
    run = str(record.get("run") or "")
    folder = _find_run(run, sweep) if run else None
    history = read_run(folder) if folder else None
    state = "found finished" if record.get("found") and record["state"] == "finished" else record["state"]
    if state == "running" and history:
        state = history.state
    return Job(number, overrides, state, str(record.get("error", "")), run, history)


def _find_run(run: str, sweep: Path) -> Path | None:
    """Finds a run's folder, which may have been moved together with its sweep.

    The end of its path is looked up in the folders above the sweep.
    """
    parts = Path(run).parts
    ends = (Path(*parts[start:]) for start in range(max(1, len(parts) - 1)))
    moved = (folder / end for end in ends for folder in sweep.parents)
    return next((folder for folder in (*moved, Path(run)) if is_run(folder)), None)


def job_from_run(number: int, run: History, keys: Sequence[str]) -> Job:
    """Makes a job of any run; the settings of these keys take the place of overrides, parts by their class names."""
    settings = {key: setting_text(value) for key, value in flatten(run.config) if key in keys}
    ends = {key: value.rpartition(".")[2] if key.endswith(TARGET) else value for key, value in settings.items()}
    chosen = {key.removesuffix(TARGET): ends[key] for key in keys if key in ends}
    damage = f"{', '.join(run.damaged)} cannot be read" if run.damaged else ""
    error = run.info.get("error") or damage
    return Job(number, chosen, run.state, error, str(run.folder), run, run.title)


def swept_keys(jobs: Sequence[Job]) -> list[str]:
    """Returns the keys in which the jobs' overrides differ."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    keys = [key for key in keys if key.split(".")[0] not in IGNORED_KEYS]
    return [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]


def metric_columns(jobs: Sequence[Job]) -> tuple[str, str]:
    """Returns the headings of the columns of metrics: the best during training, and the last."""
    best, last = common_name(job.best for job in jobs), common_name(job.last for job in jobs)
    return f"{BEST} {best}".strip(), last or LAST


def job_rows(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """Returns a row for each job, with equal keys; metrics that differ in name are given with their names."""
    keys, (best, last) = swept_keys(jobs), metric_columns(jobs)
    return [
        {
            "job": job.name,
            **{key: shortened(job.overrides.get(key, "")) for key in keys},
            "state": job.state,
            best: _text(job.best, with_name=best == BEST),
            last: _text(job.last, with_name=last == LAST),
            "images": f"{job.info.get('images_seen', 0)}",
            "minutes": f"{job.info.get('seconds', 0) / 60:.1f}",
            "run": job.run,
            "error": job.error,
        }
        for job in jobs
    ]


def shortened(value: str) -> str:
    """Shortens a number of many digits to six."""
    try:
        return value if len(value) <= 8 else f"{float(value):.6g}"
    except ValueError:
        return value


def common_name(metrics: Iterable[Metric | None]) -> str:
    """Returns the name that all metrics have; empty if their names differ."""
    names = {metric[0] for metric in metrics if metric}
    return names.pop() if len(names) == 1 else ""


def _text(metric: Metric | None, with_name: bool) -> str:
    return "" if metric is None else f"{metric[0]} {metric[1]:.5g}" if with_name else f"{metric[1]:.5g}"


Setting = tuple[str, ...]
"""The values of the swept keys except the seed."""


def values_over_seeds(jobs: Sequence[Job]) -> dict[tuple[Setting, str], list[float]]:
    """Groups the last metric over seeds, by setting and by the metric's name; empty if no seeds were swept.

    Runs whose configurations differ in anything but seeds are left out.
    """
    keys = swept_keys(jobs)
    groups: dict[tuple[Setting, str], list[Job]] = {}
    if SEED in keys and len(keys) > 1:
        for job in jobs:
            if job.last and job.state.endswith("finished"):
                setting = tuple(job.overrides.get(key, "") for key in keys if key != SEED)
                groups.setdefault((setting, job.last[0]), []).append(job)
    comparable = {key: group for key, group in groups.items() if all(_differ_in_seed(group[0], each) for each in group)}
    return {key: [job.last[1] for job in group if job.last] for key, group in comparable.items()}


def _differ_in_seed(one: Job, other: Job) -> bool:
    """Returns True if two runs have the same configuration except for seeds."""
    if not (one.history and other.history):
        return True
    return all(key.rpartition(".")[2] == SEED for key in differing_keys(one.history.config, other.history.config))


def seed_rows(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """Returns a row for each setting with the last metric's mean and standard deviation over seeds."""
    others, (_, last) = [key for key in swept_keys(jobs) if key != SEED], metric_columns(jobs)
    return [
        {
            **dict(zip(others, setting, strict=True)),
            f"{last}: mean": _text((name, mean(values)), with_name=last == LAST),
            "deviation": f"{stdev(values):.2g}" if len(values) > 1 else "",
            "seeds": str(len(values)),
        }
        for (setting, name), values in values_over_seeds(jobs).items()
    ]


def without_empty_columns(rows: Sequence[Mapping[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Returns head and body of a table, without empty columns and without folders, which are in the CSV file."""
    keys = [key for key in rows[0] if key != "run" and any(row[key] for row in rows)]
    return keys, [[row[key] for key in keys] for row in rows]
