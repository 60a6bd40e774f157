"""How good what a model makes is: the work behind ``gan_lab.evaluate``."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor

from gan_lab.cli.config.checks import check_sampling
from gan_lab.cli.config.compose import resolve
from gan_lab.cli.inputs import data_of
from gan_lab.common.capabilities import Predicts, Samples, SamplesClips, Translates
from gan_lab.common.device import resolve_device
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.instantiate import instantiate
from gan_lab.common.launch import on_every_device
from gan_lab.common.runs import checkpoint_path, run_title, write_json
from gan_lab.data.loading.splits import SPLITS, WHOLE
from gan_lab.data.sources.folders import Numbered, folder_pictures
from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.evaluation.evaluators.samples import SampleEvaluator
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.gallery import Gallery
from gan_lab.evaluation.image_sets import SplitImages
from gan_lab.evaluation.reports.pages import read_answers, write_trial
from gan_lab.evaluation.reports.report import write_report
from gan_lab.evaluation.reports.tables import table
from gan_lab.evaluation.results import Report
from gan_lab.training.checkpoint import load
from gan_lab.training.trainer import apply_options

WAYS = (["checkpoint"], ["real", "fake"], ["answers"])
"""Keys that say what is to be evaluated; each way alone."""


class Shown:
    """Pictures that are there already, as if a model made them: number i is picture i, whatever the seed."""

    def __init__(self, data: Numbered, device: torch.device) -> None:
        self.data, self.device = data, device

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Pictures start … start + n - 1, float32 (n, C, H, W) in [-1, 1]."""
        return to_float(self.data.part(start, n))


@dataclass(frozen=True)
class Task:
    """What is measured, and where its files go.

    Args:
        told: what the record says of it.
        base: the files' path without its endings.
        against: what is measured against what, where the measure itself does not know it.
    """

    model: Any
    measure: Evaluator
    title: str
    told: Mapping[str, Any]
    base: Path
    against: str = ""


def evaluate(config: DictConfig) -> Report | None:
    """Measures what a checkpoint makes against its data, or one folder of pictures against another, and writes the
    figures with their protocol as JSON and as a page; on several devices each takes a part, and what it gives is None.
    Of people's answers it writes how often they erred, and gives None.

    Raises:
        UserError: for keys that do not serve or do not go together, if the model makes nothing to compare, or if
            its data have no real pictures or are not where they were.
    """
    plain = resolve(config)
    _check(plain)
    if plain["answers"] is not None:
        _judge(plain)
        return None
    return on_every_device(_evaluate, plain)


def _evaluate(plain: dict[str, Any]) -> Report:
    task = _of_checkpoint(plain) if plain["fake"] is None else _of_folders(plain)
    if plain["trial"] and not isinstance(task.measure, SampleEvaluator):
        raise UserError("The test with people takes models that sample pictures: leave trial= away.")
    began = time.monotonic()
    report = task.measure.report(task.model)
    seconds = round(time.monotonic() - began, 2)
    exhibits = task.measure.gallery(task.model) if plain["page"] else None  # of all ranks' features
    if rank_and_world_size()[0] == 0:
        _write({**task.told, "seconds": seconds, **report.record()}, task, plain, exhibits)
    return report


def _check(plain: Mapping[str, Any]) -> None:
    """Before anything is read."""
    _check_way(plain)
    check_sampling(plain, "batch_size", *(key for key in ("n", "limit", "trial") if plain[key] is not None))
    if plain["split"] not in (*SPLITS, WHOLE):
        raise UserError(f"split={plain['split']} does not serve: give one of {', '.join((*SPLITS, WHOLE))}.")


def _check_way(plain: Mapping[str, Any]) -> None:
    given = [key for way in WAYS for key in way if plain[key] is not None]
    if not given:
        raise UserError(
            "There is nothing to measure: give checkpoint=…, or real=… and fake=…, two folders of pictures."
        )
    if given in (["real"], ["fake"]):
        other = "real" if given == ["fake"] else "fake"
        raise UserError(f"There is nothing to compare {given[0]}=… with: give {other}=…, a folder of pictures, too.")
    if given not in WAYS:
        raise UserError(
            f"{'=…, '.join(given[:-1])}=… and {given[-1]}=… do not go together: give checkpoint=… alone, or real=… and "
            "fake=…, or answers=… alone."
        )


def _judge(plain: Mapping[str, Any]) -> None:
    path = Path(plain["answers"]).expanduser()
    found = read_answers(path)
    base = _base(plain["output"], path.with_name(f"{path.stem}-rate"), f"{path.stem}-rate")
    output = _beside(base, ".json")
    write_json(output, {"answers": str(path), **found})
    rate, low, high = (f"{100 * found[key]:.1f} %" for key in ("error_rate", "low", "high"))
    print(
        f"{found['wrong']} of {found['n']} wrong: an error rate of {rate}, with 95 % confidence between {low} and "
        f"{high}. Guessing errs in 50 %."
    )
    print(f"Wrote {output}")


def _base(output: str | None, default: Path, name: str) -> Path:
    """The path of all that is written, without its endings; the folder is made.

    Args:
        output: what the user gave: a file with or without an ending of ours, or a folder.
        default: where nothing was given.
        name: in a folder.

    Raises:
        UserError: if the folder cannot be made.
    """
    base = Path(output).expanduser() if output else default
    if output and (base.is_dir() or output.endswith("/")):
        base = base / name
    elif output and base.suffix.lower() in (".json", ".html"):
        base = base.with_suffix("")
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{base.parent} cannot be made ({error.strerror}): give another output=….") from error
    return base


def _beside(base: Path, end: str) -> Path:
    return base.with_name(f"{base.name}{end}")  # a dot in its name begins no ending


def _write(record: Mapping[str, Any], task: Task, plain: Mapping[str, Any], exhibits: Gallery | None) -> None:
    written = [_beside(task.base, ".json")]
    write_json(written[0], record)
    against = task.against or task.measure.comparison_text(record["protocol"])
    Console().print(table(record, against))
    if "undefined" in record:
        print(f"Without a finite value, as of too few pictures: {', '.join(record['undefined'])}")
    trial = _trial(task, plain) if plain["trial"] else None
    if plain["page"]:
        pictures = (task.measure.sheet(task.model), exhibits)
        written.append(write_report(_beside(task.base, ".html"), task.title, against, record, *pictures, trial))
    print(f"Wrote {', '.join(map(str, [*written, *([trial] if trial else [])]))}")


def _of_checkpoint(plain: dict[str, Any]) -> Task:
    path = checkpoint_path(plain["checkpoint"])
    base = _base(plain["output"], path.with_name(f"{path.stem}-evaluation"), "evaluation")
    model = apply_options(load(path, resolve_device(plain["device"]), plain["trust"]), plain)
    if not isinstance(model, Samples | Translates | Predicts | SamplesClips):
        raise UserError(f"{path} holds the model {type(model).__name__}, which makes no pictures: nothing to measure.")
    measure = _measure(model, data_of(path, plain), plain)
    if measure is None:
        raise UserError(f"The data of {path} do not suit {type(model).__name__}: there is nothing to compare.")
    told = {"checkpoint": str(path), "images_seen": int(getattr(model, "images_seen", 0))}
    return Task(model, measure, f"{run_title(path.parent)}, {path.stem}", told, base)


def _of_folders(plain: dict[str, Any]) -> Task:
    base = _base(plain["output"], Path("evaluation"), "evaluation")
    real, fake = folder_pictures(plain["real"], plain["fake"], plain["size"])
    n = min(plain["n"] or fake.count("train"), fake.count("train"))
    model = Shown(fake, resolve_device(plain["device"]))
    measure = _measure(model, real, {**plain, "n": n, "split": "train"})
    assert measure is not None
    names = [Path(plain[key]).expanduser().resolve().name for key in ("fake", "real")]
    count = min(plain["limit"] or real.count("train"), real.count("train"))
    against = f"{n:,} pictures of {names[0]} against {count:,} of {names[1]}"
    return Task(model, measure, " against ".join(names), {"fake": fake.describe()}, base, against)


def _measure(model: Any, data: Any, plain: Mapping[str, Any]) -> Evaluator | None:
    keys = ("n", "weights", "paired", "split", "seed", "truncation", "limit", "batch_size")
    options = {key: plain[key] for key in keys}
    extractors = instantiate(plain.get("extractor") or {})
    return select_evaluator(model, data, instantiate(plain.get("metrics") or {}), extractors=extractors, **options)


def _trial(task: Task, plain: Mapping[str, Any]) -> Path:
    """The test with people, of real pictures spread over the split and the first samples."""
    assert isinstance(task.measure, SampleEvaluator)
    data, source = task.measure.data, task.measure.source(task.model)
    n = min(plain["trial"], source.n, data.count(plain["split"]))
    real = SplitImages(data, plain["split"], n).pick(torch.arange(n))
    path = _beside(task.base, "-trial.html")
    return write_trial(path, real, source.pick(torch.arange(n)), task.title, plain["pairs"], plain["seed"])
