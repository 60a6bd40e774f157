"""What a run wrote of itself, read as far as it is whole: a run may be going on, killed, or moved."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_lab.common.runs import BEST, LAST, is_running, read_json, run_title
from gan_lab.evaluation.reports.charts import Points

Record = Mapping[str, Any]


@dataclass(frozen=True)
class History:
    """One run.

    Args:
        folder: of the run, where it is now.
        config: resolved.
        told: what ``run.json`` says; ``images_seen`` and ``figures`` also of a run that has not ended.
        series: the columns of ``metrics.csv`` over images seen, without what is no finite number.
        lost: of each column how many values were none.
        records: of ``metrics.jsonl``, each a measurement with its protocol and the figures that are finite.
    """

    folder: Path
    config: Mapping[str, Any]
    told: Mapping[str, Any]
    series: Mapping[str, Points]
    lost: Mapping[str, int]
    records: list[Record]

    @property
    def title(self) -> str:
        return run_title(self.folder)

    @property
    def state(self) -> str:
        """As recorded; "not ended" where no process of this machine is training in it any more."""
        state = str(self.told.get("state", "unknown"))
        return "not ended" if state == "running" and not is_running(self.folder) else state

    @property
    def grids(self) -> list[tuple[int, Path]]:
        """The sheets of samples, each after so many images."""
        found = (path for path in (self.folder / "samples").glob("*.png") if path.stem.isdecimal())
        return sorted((int(path.stem), path) for path in found)

    def checkpoint(self) -> Path | None:
        """The best, else the last."""
        return next((path for path in (self.folder / BEST, self.folder / LAST) if path.is_file()), None)


def is_run(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / "run.json").is_file()


def read_run(folder: Path) -> History:
    """Everything that a run wrote of itself but its pictures."""
    series, lost = _columns(folder / "metrics.csv")
    records = list(_records(folder / "metrics.jsonl"))
    told = _mapping(folder / "run.json")
    if "images_seen" not in told:
        told["images_seen"] = int(max((points[-1][0] for points in series.values() if points), default=0))
    figures = told.get("figures") or {name: value for each in records for name, value in each["figures"].items()}
    told["figures"] = _finite(figures)
    return History(folder, _mapping(folder / "config.json"), told, series, lost, records)


def _mapping(path: Path) -> dict[str, Any]:
    found = read_json(path)
    return found if isinstance(found, dict) else {}


def _columns(path: Path) -> tuple[dict[str, Points], dict[str, int]]:
    """The table by columns; a row that was cut off is left out."""
    if not path.is_file():
        return {}, {}
    whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
    series: dict[str, list[tuple[float, float]]] = {}
    lost: dict[str, int] = {}
    for row in csv.DictReader(whole.splitlines()):
        at = _number(row.pop("images", None))
        for name, told in row.items():
            if at is None or not told or not isinstance(told, str):
                continue
            value = _number(told)
            if value is None:
                lost[name] = lost.get(name, 0) + 1
            else:
                series.setdefault(name, []).append((at, value))
    return {name: sorted(points) for name, points in series.items()}, lost


def _number(told: Any) -> float | None:
    try:
        value = float(told)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _finite(figures: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: _number(value) for name, value in figures.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def _records(path: Path) -> Iterator[Record]:
    """Lines that are whole measurements."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for line in lines:
        try:
            record = json.loads(line)
            found = {"images_seen": int(record["images_seen"]), "figures": _finite(record["figures"])}
            yield {**record, **found, "protocol": dict(record["protocol"])}
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
