"""All jobs of a sweep: a table, the same as CSV, and what they reached as a picture."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.markup import escape
from rich.table import Table

from gan_lab.atomic import replacing
from gan_lab.reports.charts import alone, bars
from gan_lab.reports.pages import samples_in, write_page
from gan_lab.runs import read

SEED = "seed"


@dataclass(frozen=True)
class Job:
    """One job: its number, its overrides by key, how it ended, its run's folder, and what the run wrote of itself."""

    number: int
    overrides: Mapping[str, str]
    state: str
    error: str
    run: str
    told: Mapping[str, Any]

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
    """The jobs whose records are in a folder, by number."""
    return [_job(read(path)) for path in sorted(folder.glob("*.json"))]


def _job(record: Mapping[str, Any]) -> Job:
    overrides = dict(each.lstrip("+").partition("=")[::2] for each in record["overrides"])
    state = "found finished" if record.get("found") and record["state"] == "finished" else record["state"]
    told = read(Path(record["run"]) / "run.json") if record.get("run") else {}
    return Job(record["job"], overrides, state, record.get("error", ""), record.get("run") or "", told)


def swept(jobs: Sequence[Job]) -> list[str]:
    """The keys in which jobs differ."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    keys = [key for key in keys if not key.startswith("trial.")]
    return [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]


def lines(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """A line a job, with equal keys."""
    keys = swept(jobs)
    best, last = (_name(getattr(job, which) for job in jobs) for which in ("best", "last"))
    return [
        {
            "job": str(job.number),
            **{key: _short(job.overrides.get(key, "")) for key in keys},
            "state": job.state,
            f"best {best}".strip(): _text(job.best),
            last or "last figure": _text(job.last),
            "images": f"{job.told.get('images_seen', 0)}",
            "minutes": f"{job.told.get('seconds', 0) / 60:.1f}",
            "run": job.run,
            "error": job.error,
        }
        for job in jobs
    ]


def _short(value: str) -> str:
    """A number of many digits with six of them."""
    try:
        return value if len(value) <= 8 else f"{float(value):.6g}"
    except ValueError:
        return value


def _name(figures: Any) -> str:
    """What all of them are called; nothing where they differ."""
    names = {figure[0] for figure in figures if figure}
    return names.pop() if len(names) == 1 else ""


def _text(figure: tuple[str, float] | None) -> str:
    return "" if figure is None else f"{figure[1]:.5g}"


def over_seeds(jobs: Sequence[Job]) -> list[dict[str, str]]:
    """The last figure's mean and deviation over seeds, for every setting of the other keys; empty without seeds."""
    keys = swept(jobs)
    if SEED not in keys or len(keys) < 2:
        return []
    others, name = [key for key in keys if key != SEED], _name(job.last for job in jobs) or "last figure"
    groups: dict[tuple[str, ...], list[float]] = {}
    for job in jobs:
        if job.last and job.state.endswith("finished"):
            groups.setdefault(tuple(job.overrides.get(key, "") for key in others), []).append(job.last[1])
    return [
        {
            **dict(zip(others, setting, strict=True)),
            f"{name}: mean": f"{mean(values):.5g}",
            "deviation": f"{stdev(values):.2g}" if len(values) > 1 else "",
            "seeds": str(len(values)),
        }
        for setting, values in groups.items()
    ]


def write_sweep(folder: Path, jobs: Sequence[Job]) -> tuple[list[Table], list[Path]]:
    """Writes ``table.csv``, ``seeds.csv`` where seeds were swept, ``table.svg`` where there are figures, and
    ``index.html`` with all of it and the samples; the tables to print, and what was written.
    """
    rows, seeds = lines(jobs), over_seeds(jobs)
    written = [_write_csv(folder / "table.csv", rows)]
    if seeds:
        written.append(_write_csv(folder / "seeds.csv", seeds))
    chart = _chart(jobs)
    if chart:
        written.append(folder / "table.svg")
        with replacing(written[-1]) as beside:
            beside.write_text(alone(chart), encoding="utf-8")
    tables = [_shown(each) for each in (rows, seeds) if each]
    pictures = [{"name": f"{job.number} {_setting(job, jobs)}", "source": samples_in(Path(job.run))} for job in jobs]
    shown = [each for each in pictures if each["source"]]
    title = f"Sweep {folder.name}"
    written.append(
        write_page(folder / "index.html", "sweep.html.j2", title=title, tables=tables, chart=chart, runs=shown)
    )
    return [_printed(*each) for each in tables], written


def _setting(job: Job, jobs: Sequence[Job]) -> str:
    return " ".join(job.overrides[key] for key in swept(jobs) if key in job.overrides)


def _chart(jobs: Sequence[Job]) -> str:
    figures = {f"{job.number} {_setting(job, jobs)}": job.last[1] for job in jobs if job.last}
    return bars("What the jobs reached", figures, _name(job.last for job in jobs)) if figures else ""


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return path


def _shown(rows: Sequence[Mapping[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Head and body, without columns that are empty throughout; folders are in the CSV."""
    keys = [key for key in rows[0] if key != "run" and any(row[key] for row in rows)]
    return keys, [[row[key] for key in keys] for row in rows]


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
