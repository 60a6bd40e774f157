"""The table over several runs: metrics first, then the settings in which the runs differ, one column each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_lab.common.runs import differing_keys, flatten
from gan_lab.evaluation.reports.evaluations import (
    EvaluationResult,
    differing_entries,
    protocol_differences,
    tied_with_best,
)
from gan_lab.evaluation.reports.history import History
from gan_lab.evaluation.reports.jobs import BEST, Job, final_metrics, shortened, swept_keys
from gan_lab.evaluation.reports.marks import metric_mark
from gan_lab.evaluation.reports.pages import Cell, setting_text
from gan_lab.evaluation.reports.records import Protocol
from gan_lab.evaluation.reports.tables import MetricRow, metric_rows

SettingsTable = Sequence[tuple[str, list[str]]]
"""Keys with their values in each run."""

FIRST = ("method", "data.name", "data.size", "seed", "batch_size", "budget.images")
"""Settings that describe a run best, in the order of the table's columns."""

COUNTS = ("samples", "real", "split", "truncation")
"""Parts of a protocol that are always shown if they differ."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Args:
        name: its heading.
        cells: one for each job.
        group: of which it is part: metrics, settings, state or protocol.
        more: it is shown only if all columns are asked for.
        rows: the metrics of comparable jobs, in whose baselines the jobs agree.
    """

    name: str
    cells: list[Cell]
    group: str
    more: bool = False
    rows: Sequence[MetricRow | None] = ()

    def baseline(self, key: str) -> float | None:
        """Returns what a baseline reached by the column's metric; see ``BASELINES``."""
        return next((row.baselines[key] for row in self.rows if row and key in row.baselines), None)


def index_columns(jobs: Sequence[Job], kind: str) -> list[Column]:
    """Returns the columns of the table over jobs or runs; empty ones are left out.

    Args:
        jobs: the jobs or runs.
        kind: heading of the first column.
    """
    metrics, settings = list(_metric_columns(jobs)), list(_setting_columns(jobs))
    shown = [*(each for each in metrics if not each.more), *(each for each in settings if not each.more)]
    further = [*(each for each in metrics if each.more), *(each for each in settings if each.more)]
    name = Column(kind, [Cell(job.name) for job in jobs], "name")
    columns = [name, *shown, *_state_columns(jobs), *_protocol_columns(jobs), *further]
    return [column for column in columns if any(cell.text for cell in column.cells)]


def _metric_columns(jobs: Sequence[Job]) -> Iterator[Column]:
    """Yields the metric of the best checkpoint, then those of the final tier, each job's first one before others."""
    comparable = not comparability_warnings([job.history for job in jobs if job.history])
    for name in dict.fromkeys(job.best[0] for job in jobs if job.best):
        yield _metric_column(f"{BEST} {name}", [_best_row(job, name) for job in jobs], comparable)
    rows = [final_metrics(job.info, _protocol(job)) for job in jobs]
    first = dict.fromkeys(next(iter(each)) for each in rows if each)
    for name in dict.fromkeys([*first, *(name for each in rows for name in each)]):
        yield _metric_column(name, [each.get(name) for each in rows], comparable, name not in first)


def _best_row(job: Job, name: str) -> MetricRow | None:
    if not job.best or job.best[0] != name:
        return None
    record = job.history.best_record() if job.history else None
    recorded = metric_rows(record["figures"], protocol=record["protocol"]) if record else []
    own = MetricRow(*job.best, mark=metric_mark(name, _protocol(job)))
    return next((row for row in recorded if row.name == name), own)


def _protocol(job: Job) -> Protocol | None:
    """Returns the protocol of a job's last metrics."""
    record = job.history.last_record() if job.history else None
    return record["protocol"] if record else None


def _metric_column(name: str, rows: Sequence[MetricRow | None], comparable: bool, more: bool = False) -> Column:
    best = best_positions(rows) if comparable else set()
    cells = [Cell(f"{row.value:.5g}{row.mark}" if row else "", number in best) for number, row in enumerate(rows)]
    return Column(name, cells, "metrics", more, rows if comparable else ())


def best_positions(rows: Sequence[MetricRow | None]) -> set[int]:
    """Returns the positions of the best metric, and of those that do not differ from it significantly.

    There are none if that is true of all, and for metrics that differ in name or have no direction.
    """
    names = {row.name for row in rows if row}
    if len(names) != 1:
        return set()
    (name,) = names
    positions = {EvaluationResult("", {name: row}, {}, "", Path()): number for number, row in enumerate(rows) if row}
    ties = tied_with_best(list(positions), name)
    return {positions[each] for each in ties} if 0 < len(ties) < len(positions) else set()


def _setting_columns(jobs: Sequence[Job]) -> Iterator[Column]:
    """Yields the settings that the jobs' overrides vary, then all others in which the runs differ."""
    swept = swept_keys(jobs)
    for key in swept:
        yield _column(key, [shortened(job.overrides.get(key, "")) for job in jobs], "settings")
    runs = [job for job in jobs if job.history]
    for key, values in setting_differences([job.history for job in runs if job.history]):
        if key not in swept and key not in (f"{each}._target_" for each in swept):
            texts = dict(zip((job.number for job in runs), values, strict=True))
            yield _column(key, [texts.get(job.number, "") for job in jobs], "settings", more=True)


def _state_columns(jobs: Sequence[Job]) -> Iterator[Column]:
    yield _column("state", [job.state for job in jobs], "state")
    yield _column("error", [job.error for job in jobs], "state")
    yield _column("images", [f"{job.info.get('images_seen', 0)}" for job in jobs], "state")
    yield _column("minutes", [f"{job.info.get('seconds', 0) / 60:.1f}" for job in jobs], "state")


def _protocol_columns(jobs: Sequence[Job]) -> Iterator[Column]:
    """Yields the parts in which the protocols of the last metrics differ."""
    for key, values in differing_entries([_protocol(job) for job in jobs]).items():
        yield _column(key, values, "protocol", more=key not in COUNTS)


def _column(name: str, texts: Sequence[str], group: str, more: bool = False) -> Column:
    return Column(name, [Cell(text) for text in texts], group, more)


def comparability_warnings(runs: Sequence[History]) -> list[str]:
    """Returns a sentence about the differences between the protocols of the last metrics, if there are any."""
    records = {run.folder: run.last_record() for run in runs}
    evaluations = [EvaluationResult("", {}, r["protocol"], "", folder) for folder, r in records.items() if r]
    return protocol_differences(evaluations)


def setting_differences(runs: Sequence[History]) -> list[tuple[str, list[str]]]:
    """Returns the settings in which runs differ, outermost keys first, with each run's value (empty if it has none)."""
    keys = {key for run in runs[1:] for key in differing_keys(runs[0].config, run.config)}
    settings = [dict(flatten(run.config)) for run in runs]
    ordered = sorted(keys, key=lambda key: (key.count("."), key))
    return [(key, [setting_text(each[key]) if key in each else "" for each in settings]) for key in ordered]


def informative_keys(table: SettingsTable, most: int) -> list[str]:
    """Chooses keys of ``setting_differences`` with short values that describe what was trained.

    Each of them separates the runs in a way that no earlier one does.
    """
    partitions: dict[tuple[int, ...], str] = {}
    for key, values in sorted(table, key=lambda entry: FIRST.index(entry[0]) if entry[0] in FIRST else len(FIRST)):
        long = any(len(value) > 40 or "/" in value for value in values)
        if not long and key != "name" and key.partition(".")[0] not in ("logger", "callbacks"):
            partitions.setdefault(tuple(values.index(value) for value in values), key)
    return list(partitions.values())[:most]
