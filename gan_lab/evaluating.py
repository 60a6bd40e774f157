"""How good what a model makes is: the work behind ``gan_lab.evaluate`` and ``gan_lab.compare``."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor

from gan_lab.build import TRUSTED, build
from gan_lab.callbacks.measure import Measure
from gan_lab.callbacks.measure_samples import SampleMeasure
from gan_lab.callbacks.measures import measure_for
from gan_lab.configuration import resolve
from gan_lab.core.checkpoint import load, read
from gan_lab.data.folders import folder_pictures
from gan_lab.machine import device_of
from gan_lab.metrics.fidelity import Report
from gan_lab.metrics.sources import Real, spread_numbers
from gan_lab.presenting import table
from gan_lab.reports.pages import write_trial
from gan_lab.reports.report import write_report
from gan_lab.runs import write_json
from gan_lab.runtime import checkpoint_in, switched
from gan_lab.types import Mixture, RealImages, Samples, Translates, TwoDomains, UserError, to_float


class Shown:
    """Pictures that are there already, as if a model made them: number i is picture i, whatever the seed."""

    def __init__(self, data: RealImages, device: torch.device) -> None:
        self.data, self.device = data, device

    @cached_property
    def _pictures(self) -> Tensor:
        return torch.cat(list(self.data.images("train")))

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Pictures start … start + n - 1, float32 (n, C, H, W) in [-1, 1]."""
        return to_float(self._pictures[start : start + n])


@dataclass(frozen=True)
class Task:
    """What is measured, and where its files go.

    Args:
        told: what the record says of it.
        output: the JSON file.
    """

    model: Any
    measure: Measure
    title: str
    told: Mapping[str, Any]
    output: Path


def evaluate(config: DictConfig) -> Report:
    """Measures what a checkpoint makes against its data, or one folder of pictures against another, and writes the
    figures with their protocol as JSON and as a page.

    Raises:
        UserError: if the model does neither, or its data have no real pictures or are not where they were.
    """
    plain = resolve(config)
    if (plain["checkpoint"] is None) == (plain["fake"] is None):
        raise UserError(
            "There is nothing to measure: give checkpoint=…, or real=… and fake=…, two folders of pictures."
        )
    task = _of_checkpoint(plain) if plain["fake"] is None else _of_folders(plain)
    began = time.monotonic()
    report = task.measure.report(task.model)
    record = {**task.told, "seconds": round(time.monotonic() - began, 2), **report.record()}
    task.output.parent.mkdir(parents=True, exist_ok=True)
    write_json(task.output, record)
    against = task.measure.against(report.protocol)
    Console().print(table(record, against))
    written = [task.output]
    if plain["page"]:
        shown = task.measure.exhibits(task.model)
        written.append(write_report(task.output.with_suffix(".html"), task.title, against, record, shown))
    if plain["trial"]:
        written.append(_trial(task, plain))
    print(f"Wrote {', '.join(map(str, written))}")
    return report


def _of_checkpoint(plain: dict[str, Any]) -> Task:
    path = checkpoint_in(plain["checkpoint"])
    model = switched(load(path, device_of(plain["device"]), plain["trust"]), plain)
    if not isinstance(model, Samples | Translates):
        raise UserError(
            f"{path} holds a {type(model).__name__}, which neither samples nor translates: nothing to measure."
        )
    measure = _measure(model, data_of(path, plain), plain)
    if measure is None:
        raise UserError(f"The data of {path} do not suit a {type(model).__name__}: there is nothing to compare.")
    told = {"checkpoint": str(path), "images_seen": int(getattr(model, "images_seen", 0))}
    output = Path(plain["output"] or path.with_name(f"{path.stem}-evaluation.json"))
    return Task(model, measure, f"{path.parent.name}, {path.stem}", told, output)


def _of_folders(plain: dict[str, Any]) -> Task:
    if plain["real"] is None:
        raise UserError("There is nothing to compare fake=… with: give real=…, a folder of pictures, too.")
    real, fake = folder_pictures(plain["real"], plain["fake"], plain["size"])
    model = Shown(fake, device_of(plain["device"]))
    n = min(plain["n"] or fake.count("train"), fake.count("train"))
    measure = _measure(model, real, {**plain, "n": n, "split": "train"})
    assert measure is not None
    output = Path(plain["output"] or "evaluation.json")
    title = f"{Path(plain['fake']).name} against {Path(plain['real']).name}"
    return Task(model, measure, title, {"fake": fake.describe()}, output)


def _measure(model: Any, data: Any, plain: Mapping[str, Any]) -> Measure | None:
    keys = ("n", "weights", "paired", "split", "seed", "truncation", "limit", "batch_size")
    options = {key: plain[key] for key in keys}
    extractors = build(plain.get("extractor") or {})
    return measure_for(model, data, build(plain.get("metrics") or {}), extractors=extractors, **options)


def _trial(task: Task, plain: Mapping[str, Any]) -> Path:
    """The test with people, of real pictures spread over the split and the first samples."""
    if not isinstance(task.measure, SampleMeasure):
        raise UserError("The test with people takes models that sample pictures: leave trial= away.")
    data, source = task.measure.data, task.measure.source(task.model)
    n = min(plain["trial"], source.n, data.count(plain["split"]))
    real = Real(data, plain["split"]).pick(spread_numbers(data.count(plain["split"]), n))
    path = task.output.with_name(f"{task.output.stem}-trial.html")
    return write_trial(path, real, source.pick(torch.arange(n)), task.title, plain["pairs"], plain["seed"])


def data_of(path: Path, plain: dict[str, Any]) -> RealImages | TwoDomains | Mixture:
    """The data a checkpoint was trained on, ready to be read; ``root`` says where they are now."""
    node = dict(read(path)["gan_lab"]["data"])
    if plain["root"]:
        node["root"] = plain["root"]
    data = build(node, [*TRUSTED, *plain["trust"]])
    if not isinstance(data, RealImages | TwoDomains | Mixture):
        raise UserError(
            f"The data of {path}, a {type(data).__name__}, are not pictures that others can be compared with."
        )
    data.prepare_data()  # type: ignore[union-attr]
    data.setup("test")  # type: ignore[union-attr]
    return data
