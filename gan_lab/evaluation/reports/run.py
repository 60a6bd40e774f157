"""The page of one run: what became of it, its pictures over time, its curves, its figures, its configuration."""

import json
import math
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gan_lab.common.runs import LAST, flatten
from gan_lab.evaluation.reports.compare import counts
from gan_lab.evaluation.reports.history import History, Record
from gan_lab.evaluation.reports.pages import as_script, picture, write_page
from gan_lab.evaluation.reports.plots import charts
from gan_lab.evaluation.reports.tables import BESIDE, HEADINGS, rows

MOST_GRIDS = 24
"""Sheets of samples in a page."""


def write_run(
    path: Path, run: History, index: Path | None = None, apart: Sequence[str] = (), other: History | None = None
) -> Path:
    """Writes the page of a run.

    Args:
        path: of the page.
        index: the page to go back to.
        apart: keys of the configuration in which it differs from others.
        other: the run that it differs from in these, where that is one.
    """
    grids = _grids(run)
    own, others = (dict(flatten(each.config)) if each else {} for each in (run, other))
    return write_page(
        path,
        "run.html.j2",
        title=run.title,
        facts=facts(run),
        commands=_commands(run),
        index=index and link(path, index),
        grids=as_script([{"source": source, "images": images} for images, source in grids]),
        last=grids[-1] if grids else None,
        charts=charts(run),
        lost=", ".join(f"{name} ({count})" for name, count in run.lost.items()),
        measured=[_measured(told, record) for told, record in _records(run)],
        headings=HEADINGS,
        evaluations=[link(path, each) for each in sorted(run.folder.glob("*evaluation.html"))],
        other=other and other.title,
        apart=[(key, text(own.get(key)), text(others.get(key))) for key in apart],
        settings=[(key, text(value)) for key, value in own.items()],
    )


def link(page: Path, target: Path) -> dict[str, str]:
    """From one page to another, wherever both are moved together."""
    return {"address": quote(Path(os.path.relpath(target, page.parent)).as_posix()), "name": target.name}


def text(value: Any) -> str:
    """A setting as it would be written, without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of them, evenly chosen, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def facts(run: History) -> list[tuple[str, str]]:
    """What there is to know at first sight, by name."""
    told, config = run.told, run.config
    data, trainer = config.get("data") or {}, config.get("trainer") or {}
    best = told.get("best") or {}
    found = {
        "state": run.state + (f": {told['error']}" if told.get("error") else ""),
        "method": config.get("method"),
        "data": " ".join(str(each) for each in (data.get("name"), _size(data.get("size"))) if each),
        "images seen": f"{told['images_seen']:,}" if told.get("images_seen") is not None else None,
        "iterations": f"{told['iteration']:,}" if told.get("iteration") is not None else None,
        "training time": duration(told["seconds"]) if told.get("seconds") is not None else None,
        "best": best and f"{best['name']} {best['value']:.4g}{_when(run)}",
        "batch size": text(config["batch_size"]) if "batch_size" in config else None,
        "seed": text(config["seed"]) if "seed" in config else None,
        "precision": config.get("precision"),
        "devices": trainer and f"{text(trainer.get('devices'))} ({trainer.get('accelerator')})",
        "machine": told.get("hardware"),
        "versions": ", ".join(f"{name} {version}" for name, version in _versions(run).items()),
        "ended" if "seconds" in told else "written": str(told.get("time", "")).replace("T", " "),
        "folder": str(run.folder),
    }
    return [(name, str(value)) for name, value in found.items() if value]


def _size(size: Any) -> str:
    sides = size if isinstance(size, list) else [size, size]
    return "" if sides in ([1, 1], [None, None]) else "×".join(map(str, sides))


def _versions(run: History) -> Mapping[str, str]:
    return run.told.get("versions") or next((r["protocol"].get("versions", {}) for r in reversed(run.records)), {})


def duration(seconds: float) -> str:
    """In the two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def best_record(run: History) -> Record | None:
    """The measurement that the best checkpoint was kept for."""
    best = run.told.get("best") or {}
    for record in run.records:
        if best and math.isclose(record["figures"].get(best["name"], math.nan), best["value"], rel_tol=1e-5):
            return record
    return None


def _when(run: History) -> str:
    record = best_record(run)
    return f" after {record['images_seen']:,} images" if record else ""


def last_record(run: History) -> Record | None:
    """The newest measurement of the final tier, else of the quick one."""
    final = [record for record in run.records if record.get("tier") == "final"]
    return next(reversed(final or run.records), None)


def _records(run: History) -> Iterable[tuple[str, Record]]:
    """The last measurement, and that of the best checkpoint, where it is another time's."""
    last, best = last_record(run), best_record(run)
    if last:
        yield ("At the end" if last.get("tier") == "final" else "Last"), last
    if last and best and best["images_seen"] != last["images_seen"]:
        yield "Best", best


def _measured(told: str, record: Record) -> dict[str, Any]:
    found, protocol = rows(record["figures"]), record["protocol"]
    return {
        "title": f"{told}, after {record['images_seen']:,} images",
        "rows": found,
        "beside": [end for end in BESIDE if any(end in row.beside for row in found)],
        "how": _how(protocol),
        "protocol": json.dumps(protocol, indent=1, default=str, ensure_ascii=False),
    }


def _how(protocol: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The protocol, in short."""
    weights = {True: "averaged (EMA)", False: "as trained"}.get(protocol.get("ema"))  # type: ignore[arg-type]
    found = {"N made / real": counts(protocol), "weights": weights}
    found |= {key: text(protocol[key]) for key in ("split", "seed", "truncation", "precision") if key in protocol}
    for name, each in (protocol.get("extractors") or {}).items():
        found[f"extractor {name}"] = f"{each.get('resizer', '')}; sha256 {str(each.get('sha256'))[:12]}"
    return [(name, value) for name, value in found.items() if value]


def _grids(run: History) -> list[tuple[int, str]]:
    """Sheets of samples that can be read, each after so many images."""
    made = [(images, picture(path)) for images, path in evenly(run.grids, MOST_GRIDS)]
    return [(images, source) for images, source in made if source]


def _commands(run: History) -> list[str]:
    """How to go on with it."""
    checkpoint = run.checkpoint()
    if checkpoint is None:
        return []
    given = f"checkpoint={shlex.quote(str(checkpoint))}"
    translates = (run.config.get("data_kind") or run.config.get("takes")) in ("unpaired", "paired")
    made = f"translate {given} input=… output=…" if translates else f"sample {given} n=64"
    found = [f"python -m gan_lab.{made}", f"python -m gan_lab.evaluate {given}"]
    if run.state != "finished" and (run.folder / LAST).is_file():
        begun = run.told.get("command") or "python -m gan_lab.train …"
        found.append(f"{begun} resume={shlex.quote(str(run.folder))}")
    return found
