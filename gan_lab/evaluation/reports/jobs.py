"""Several runs, such as the jobs of a sweep, line by line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from gan_lab.common.runs import IGNORED_KEYS, differing_keys, flatten, read_json
from gan_lab.evaluation.reports.history import History, is_run, read_run
from gan_lab.evaluation.reports.run import text

JOBS, SEED, PART = "jobs", "seed", "._target_"


@dataclass(frozen=True)
class Job:
    """One job of a sweep, or one of several runs.

    Args:
        number: from 0.
        overrides: by key.
        state: how it ended.
        run: its folder as the sweep knows it.
        history: what the run wrote of itself, where it began.
        title: what it is called, if not by its number.
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
    def told(self) -> Mapping[str, Any]:
        return self.history.told if self.history else {}

    @property
    def best(self) -> tuple[str, float] | None:
        """The name and value of the figure that the best checkpoint goes by."""
        best = self.told.get("best") or {}
        return (best["name"], float(best["value"])) if best else None

    @property
    def last(self) -> tuple[str, float] | None:
        """The first figure of the final tier."""
        final = ((name, value) for name, value in self.told.get("figures", {}).items() if _is_final(name))
        return next(final, None)


def _is_final(name: str) -> bool:
    return not name.startswith("quick_") and "/" not in name


def read_jobs(folder: Path) -> list[Job]:
    """The jobs whose records are in a sweep's folder ``jobs``, by number."""
    records = (read_json(path) for path in sorted(folder.glob("*.json")))
    return [_job(record, folder.absolute().parent) for record in records if "job" in record]


def _job(record: Mapping[str, Any], sweep: Path) -> Job:
    overrides = dict(each.lstrip("+").partition("=")[::2] for each in record["overrides"])
    run = str(record.get("run") or "")
    folder = _where(run, sweep) if run else None
    history = read_run(folder) if folder else None
    state = "found finished" if record.get("found") and record["state"] == "finished" else record["state"]
    if state == "running" and history:
        state = history.state
    return Job(record["job"], overrides, state, record.get("error", ""), run, history)


def _where(run: str, sweep: Path) -> Path | None:
    """A run's folder, which may have been moved together with its sweep: it ends as it did, beside or above that."""
    parts = Path(run).parts
    ends = (Path(*parts[start:]) for start in range(max(1, len(parts) - 1)))
    near = (folder / end for end in ends for folder in sweep.parents)
    return next((folder for folder in (*near, Path(run)) if is_run(folder)), None)


def job_of(number: int, run: History, keys: Sequence[str]) -> Job:
    """A run that need not be of a sweep; these settings of it stand for overrides, parts by their last names."""
    settings = {key: text(value) for key, value in flatten(run.config) if key in keys}
    ends = {key: value.rpartition(".")[2] if key.endswith(PART) else value for key, value in settings.items()}
    chosen = {key.removesuffix(PART): ends[key] for key in keys if key in ends}
    error = str(run.told.get("error", ""))
    return Job(number, chosen, run.state, error, str(run.folder), run, run.title)


def swept(jobs: Sequence[Job]) -> list[str]:
    """The keys in which jobs differ."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    keys = [key for key in keys if key.split(".")[0] not in IGNORED_KEYS]
    return [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]


def columns(jobs: Sequence[Job]) -> tuple[str, str]:
    """The heads of the two columns of figures: the best on the way, and the last."""
    best, last = (common(getattr(job, which) for job in jobs) for which in ("best", "last"))
    return f"best {best}".strip(), last or "last figure"


def lines(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """A line a job, with equal keys; where figures differ in name, each stands with its own."""
    keys, (best, last) = swept(jobs), columns(jobs)
    return [
        {
            "job": job.name,
            **{key: short(job.overrides.get(key, "")) for key in keys},
            "state": job.state,
            best: _text(job.best, named=best == "best"),
            last: _text(job.last, named=last == "last figure"),
            "images": f"{job.told.get('images_seen', 0)}",
            "minutes": f"{job.told.get('seconds', 0) / 60:.1f}",
            "run": job.run,
            "error": job.error,
        }
        for job in jobs
    ]


def short(value: str) -> str:
    """A number of many digits with six of them."""
    try:
        return value if len(value) <= 8 else f"{float(value):.6g}"
    except ValueError:
        return value


def common(figures: Any) -> str:
    """What all of them are called; nothing where they differ."""
    names = {figure[0] for figure in figures if figure}
    return names.pop() if len(names) == 1 else ""


def _text(figure: tuple[str, float] | None, named: bool) -> str:
    return "" if figure is None else f"{figure[0]} {figure[1]:.5g}" if named else f"{figure[1]:.5g}"


Setting = tuple[str, ...]


def by_setting(jobs: Sequence[Job]) -> dict[tuple[Setting, str], list[float]]:
    """The last figures over seeds, for every setting of the other keys and name of a figure; empty without seeds.

    Runs that differ in what is not among the keys have no mean.
    """
    keys = swept(jobs)
    groups: dict[tuple[Setting, str], list[Job]] = {}
    if SEED in keys and len(keys) > 1:
        for job in jobs:
            if job.last and job.state.endswith("finished"):
                setting = tuple(job.overrides.get(key, "") for key in keys if key != SEED)
                groups.setdefault((setting, job.last[0]), []).append(job)
    alike = {key: group for key, group in groups.items() if all(_but_for_seeds(group[0], each) for each in group)}
    return {key: [job.last[1] for job in group if job.last] for key, group in alike.items()}


def _but_for_seeds(one: Job, other: Job) -> bool:
    """Whether two runs are of one configuration, seeds aside."""
    if not (one.history and other.history):
        return True
    return all(key.rpartition(".")[2] == SEED for key in differing_keys(one.history.config, other.history.config))


def over_seeds(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """The last figure's mean and deviation over seeds, for every setting of the other keys; empty without seeds."""
    others, (_, last) = [key for key in swept(jobs) if key != SEED], columns(jobs)
    return [
        {
            **dict(zip(others, setting, strict=True)),
            f"{last}: mean": _text((name, mean(values)), named=last == "last figure"),
            "deviation": f"{stdev(values):.2g}" if len(values) > 1 else "",
            "seeds": str(len(values)),
        }
        for (setting, name), values in by_setting(jobs).items()
    ]


def shown(rows: Sequence[Mapping[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Head and body, without columns that are empty throughout; folders are in the CSV."""
    keys = [key for key in rows[0] if key != "run" and any(row[key] for row in rows)]
    return keys, [[row[key] for key in keys] for row in rows]
