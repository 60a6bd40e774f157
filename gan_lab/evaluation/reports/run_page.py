"""The page of one run: its state, sample grids over time, curves, metrics and configuration."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_lab.common.runs import LAST, flatten
from gan_lab.common.trust import MODEL_PARTS, trust_argument
from gan_lab.evaluation.reports.evaluations import counts
from gan_lab.evaluation.reports.history import History
from gan_lab.evaluation.reports.pages import (
    embed_file,
    evenly_spaced,
    json_for_script,
    link,
    setting_text,
    write_page,
)
from gan_lab.evaluation.reports.records import EvaluationRecord, Protocol, Settings
from gan_lab.evaluation.reports.run_charts import run_charts
from gan_lab.evaluation.reports.tables import MetricRow, baselines_of, metric_rows

MAX_GRIDS = 24
"""Sample grids on a page."""


def write_run_page(
    path: Path,
    run: History,
    index: Path | None = None,
    distinguishing: Sequence[str] = (),
    other: History | None = None,
) -> Path:
    """Writes the page of a run and returns its path.

    Args:
        path: path of the page.
        run: the run.
        index: page over several runs, to link back to.
        distinguishing: keys of the configuration in which the run differs from others.
        other: the run that it is compared with, if there is just one.
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
        grids=json_for_script([{"source": source, "images": images} for images, source in grids]),
        last=grids[-1] if grids else None,
        charts=run_charts(run),
        non_finite=", ".join(f"{name} ({count})" for name, count in run.non_finite.items()),
        evaluated=[_evaluated(title, record) for title, record in _shown_records(run)],
        evaluations=[link(path, each) for each in sorted(run.folder.glob("*evaluation.html"))],
        other=other and other.title,
        distinguishing=[(key, setting_text(own.get(key)), setting_text(others.get(key))) for key in distinguishing],
        settings=[(key, setting_text(value)) for key, value in own.items()],
    )


def facts(run: History) -> list[tuple[str, str]]:
    """Returns the most important facts about a run as names and texts."""
    info, config = run.info, run.config
    error = f": {info['error']}" if info.get("error") else ""
    trained = {
        "images seen": f"{info['images_seen']:,}" if info.get("images_seen") is not None else None,
        "iterations": f"{info['iteration']:,}" if info.get("iteration") is not None else None,
        "training time": duration(info["seconds"]) if info.get("seconds") is not None else None,
        "best": run.best and f"{run.best[0]} {run.best[1]:.4g}{_images_at_best(run)}",
    }
    environment = {
        "machine": info.get("hardware"),
        "versions": ", ".join(f"{name} {version}" for name, version in _versions(run).items()),
        "ended" if "seconds" in info else "written": str(info.get("time", "")).replace("T", " "),
        "folder": str(run.folder),
        "damaged": ", ".join(run.damaged),
    }
    found = {"state": run.state + error, **_configured(config, trained), **environment}
    return [(name, str(value)) for name, value in found.items() if value]


def _configured(config: Settings, trained: Mapping[str, str | None]) -> dict[str, object]:
    """Returns the facts that the configuration gives, with those about the training after method and data."""
    data, trainer = (part if isinstance(part := config.get(key), Mapping) else {} for key in ("data", "trainer"))
    return {
        "method": config.get("method"),
        "data": " ".join(str(each) for each in (data.get("name"), _size(data.get("size"))) if each),
        **trained,
        "batch size": setting_text(config["batch_size"]) if "batch_size" in config else None,
        "seed": setting_text(config["seed"]) if "seed" in config else None,
        "precision": config.get("precision"),
        "devices": trainer and f"{setting_text(trainer.get('devices'))} ({trainer.get('accelerator')})",
    }


def _size(size: object) -> str:
    sides = size if isinstance(size, list) else [size, size]
    return "" if sides in ([1, 1], [None, None]) else "×".join(map(str, sides))


def _versions(run: History) -> Mapping[str, str]:
    last = run.records[-1]["protocol"] if run.records else {}
    return run.info.get("versions") or last.get("versions", {})


def duration(seconds: float) -> str:
    """Formats a duration in the two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _images_at_best(run: History) -> str:
    record = run.best_record()
    return f" after {record['images_seen']:,} images" if record else ""


def _shown_records(run: History) -> Iterator[tuple[str, EvaluationRecord]]:
    """Yields the last evaluation, and that of the best checkpoint if it was at another time."""
    last, best = run.last_record(), run.best_record()
    if last:
        yield ("At the end" if last.get("tier") == "final" else "Last"), last
    if last and best and best["images_seen"] != last["images_seen"]:
        yield "Best", best


@dataclass(frozen=True)
class _Evaluated:
    """One evaluation on the page: a table of metrics and its protocol, in short and whole."""

    title: str
    rows: list[MetricRow]
    baselines: dict[str, str]
    conditions: list[tuple[str, str]]
    protocol: str


def _evaluated(title: str, record: EvaluationRecord) -> _Evaluated:
    protocol = record["protocol"]
    rows = metric_rows(record["figures"], protocol=protocol)
    return _Evaluated(
        f"{title}, after {record['images_seen']:,} images",
        rows,
        baselines_of(rows, protocol),
        _conditions(protocol),
        json.dumps(protocol, indent=1, default=str, ensure_ascii=False),
    )


def _conditions(protocol: Protocol) -> list[tuple[str, str]]:
    """Returns the protocol in short."""
    ema = protocol.get("ema")
    weights = {"True": "EMA", "False": "live", "None": None}.get(str(ema), f"EMA of width {ema}")
    found = {"N generated / real": counts(protocol), "weights": weights}
    found |= {
        key: setting_text(protocol[key]) for key in ("split", "seed", "truncation", "precision") if key in protocol
    }
    for name, each in (protocol.get("extractors") or {}).items():
        found[f"extractor {name}"] = f"{each.get('resizer', '')}; sha256 {str(each.get('sha256'))[:12]}"
    return [(name, value) for name, value in found.items() if value]


def _grids(run: History) -> list[tuple[int, str]]:
    """Returns images seen and data URL of each sample grid that can be read."""
    embedded = [(images, embed_file(path)) for images, path in evenly_spaced(run.grids, MAX_GRIDS)]
    return [(images, source) for images, source in embedded if source]


def _commands(run: History) -> list[str]:
    """Returns the commands that continue from this run."""
    checkpoint = run.checkpoint()
    if checkpoint is None:
        return []
    own = MODEL_PARTS.foreign([run.config.get("model"), run.config.get("data")])
    argument = f"checkpoint={shlex.quote(str(checkpoint))}{trust_argument(own)}"
    kind = str(run.config.get("data_kind") or run.config.get("takes"))
    to = {"unpaired": "", "paired": "", "domains": " to=…"}.get(kind)
    generate = f"sample {argument} n=64" if to is None else f"translate {argument} input=… output=…{to}"
    commands = [f"python -m gan_lab.{generate}", f"python -m gan_lab.evaluate {argument}"]
    if run.state != "finished" and (run.folder / LAST).is_file():
        train = run.info.get("command") or "python -m gan_lab.train …"
        commands.append(f"{train} resume={shlex.quote(str(run.folder))}")
    return commands
