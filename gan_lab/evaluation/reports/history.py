"""Reads what a run has written, as far as the files are complete: a run may still be going on, or killed, or moved."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from gan_lab.common.runs import BEST, LAST, is_running, read_json, run_title
from gan_lab.evaluation.reports.charts import Points
from gan_lab.evaluation.reports.evaluations import is_protocol
from gan_lab.evaluation.reports.records import EvaluationRecord, RunInfo, Settings

TEXTS, NUMBERS = ("state", "time", "command", "hardware", "error"), ("images_seen", "iteration", "seconds")
"""Entries of ``run.json``, by their types."""


@dataclass(frozen=True)
class History:
    """The files of one run, as far as reports need them.

    Args:
        folder: the run's present folder.
        config: the resolved configuration.
        info: contents of ``run.json``; ``images_seen`` and ``figures`` also for a run that has not ended.
        series: columns of ``metrics.csv`` over images seen, without values that are not finite.
        non_finite: number of values that are not finite, by column.
        records: evaluations from ``metrics.jsonl``, without values that are not finite.
        damaged: names of files that exist and cannot be read.
    """

    folder: Path
    config: Settings
    info: RunInfo
    series: Mapping[str, Points]
    non_finite: Mapping[str, int]
    records: list[EvaluationRecord]
    damaged: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return run_title(self.folder)

    @property
    def state(self) -> str:
        """State as recorded; "not ended" for a "running" run that no process on this machine trains any more."""
        state = self.info.get("state", "unknown")
        return "not ended" if state == "running" and not is_running(self.folder) else state

    @property
    def best(self) -> tuple[str, float] | None:
        """Name and value of the metric that the best checkpoint was chosen by."""
        best = self.info.get("best")
        return (best["name"], float(best["value"])) if best else None

    @property
    def grids(self) -> list[tuple[int, Path]]:
        """Sample grids with the images seen at each."""
        files = (path for path in (self.folder / "samples").glob("*.png") if path.stem.isdecimal())
        return sorted((int(path.stem), path) for path in files)

    def checkpoint(self) -> Path | None:
        """Returns the path of the best checkpoint, else of the last one."""
        return next((path for path in (self.folder / BEST, self.folder / LAST) if path.is_file()), None)

    def best_record(self) -> EvaluationRecord | None:
        """Returns the evaluation that the best checkpoint was chosen by."""
        if self.best is None:
            return None
        name, value = self.best
        matching = (
            each for each in self.records if math.isclose(each["figures"].get(name, math.nan), value, rel_tol=1e-5)
        )
        return next(matching, None)

    def last_record(self) -> EvaluationRecord | None:
        """Returns the newest evaluation of the final tier, else of the quick tier."""
        final = [record for record in self.records if record.get("tier") == "final"]
        return next(reversed(final or self.records), None)


def is_run(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / "run.json").is_file()


def read_run(folder: Path) -> History:
    """Reads everything that a run has written except images, as far as it can be read."""
    config, recorded = read_json(folder / "config.json"), read_json(folder / "run.json")
    table, lines = _text(folder / "metrics.csv"), _text(folder / "metrics.jsonl")
    series, non_finite = _columns(table or "")
    records = list(_records(lines or ""))
    info = _run_info(recorded)
    if "images_seen" not in info:
        info["images_seen"] = int(max((points[-1][0] for points in series.values() if points), default=0))
    if not info["figures"]:
        info["figures"] = {name: value for each in records for name, value in each["figures"].items()}
    found = {"config.json": config, "run.json": recorded, "metrics.csv": table, "metrics.jsonl": lines}
    damaged = [name for name, content in found.items() if content in ({}, None) and (folder / name).exists()]
    return History(folder, config, info, series, non_finite, records, tuple(damaged))


def _run_info(recorded: Mapping[str, object]) -> RunInfo:
    """Returns the entries of ``run.json`` that have their types."""
    info: dict[str, object] = {key: recorded[key] for key in TEXTS if isinstance(recorded.get(key), str)}
    info |= _finite({key: recorded[key] for key in NUMBERS if isinstance(recorded.get(key), int | float)})
    info |= {key: int(cast(float, info[key])) for key in ("images_seen", "iteration") if key in info}
    figures, best, versions = (recorded.get(key) for key in ("figures", "best", "versions"))
    info["figures"] = _finite(figures) if isinstance(figures, dict) else {}
    if isinstance(best, dict) and isinstance(best.get("name"), str) and _number(best.get("value")) is not None:
        info["best"] = best
    if isinstance(versions, dict):
        info["versions"] = versions
    return cast(RunInfo, info)


def _text(path: Path) -> str | None:
    """Returns the text of a file; None without one, and if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _columns(table: str) -> tuple[dict[str, Points], dict[str, int]]:
    """Reads the table by columns, without a row that was cut off; also counts values that are not finite."""
    whole, _, _ = table.rpartition("\n")
    series: dict[str, list[tuple[float, float]]] = {}
    non_finite: dict[str, int] = {}
    for row in _rows(whole):
        images = _number(row.pop("images", None))
        for name, cell in row.items():
            if images is None or not cell or not isinstance(cell, str):
                continue
            value = _number(cell)
            if value is None:
                non_finite[name] = non_finite.get(name, 0) + 1
            else:
                series.setdefault(name, []).append((images, value))
    return {name: sorted(points) for name, points in series.items()}, non_finite


def _rows(table: str) -> Iterator[dict[str, str | None]]:
    """Yields the rows of a table up to one that cannot be read."""
    try:
        yield from csv.DictReader(table.splitlines())
    except csv.Error:
        return


def _number(text: object) -> float | None:
    """Returns a finite number; None for anything else."""
    try:
        value = float(text)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _finite(values: Mapping[str, object]) -> dict[str, float]:
    numbers = {name: _number(value) for name, value in values.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def _records(lines: str) -> Iterator[EvaluationRecord]:
    """Yields the lines that are complete records."""
    for line in lines.splitlines():
        try:
            record = json.loads(line)
            checked = {"images_seen": int(record["images_seen"]), "figures": _finite(record["figures"])}
            complete = {**record, **checked, "protocol": dict(record["protocol"])}
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            continue
        if is_protocol(complete["protocol"]):
            yield cast(EvaluationRecord, complete)
