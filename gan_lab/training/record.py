"""What a finished run is recorded by: enough to trust its figure and to make it again."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch import Trainer
from omegaconf import DictConfig

from gan_lab.cli.config.checks import processes
from gan_lab.cli.config.overrides import PATHS
from gan_lab.common.device import describe_hardware, versions
from gan_lab.evaluation.reports.jobs import Job, lines, over_seeds


def result(plain: Mapping[str, Any], trainer: Trainer, model: Any) -> dict[str, Any]:
    """What a finished run is recorded by: the command, the counters, what its callbacks sum up, the hardware."""
    sums = {type(c).__name__: c.summary() for c in trainer.callbacks if hasattr(c, "summary")}  # type: ignore[attr-defined]
    return {
        "name": plain["name"],
        "command": _called(),
        "counters": {
            "images_seen": model.images_seen,
            "iteration": model.iteration,
            "seconds": round(model.seconds, 1),
        },
        **{name.lower(): summary for name, summary in sums.items()},
        "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()},
        "networks": {name: f"{type(part).__module__}.{type(part).__name__}" for name, part in model.named_children()},
        "precision": plain["precision"],
        "seed": plain["seed"],
        "hardware": describe_hardware(trainer.strategy.root_device, trainer.world_size),
        "versions": versions(),
        "date": date.today().isoformat(),
    }


def circumstances(config: DictConfig) -> dict[str, Any]:
    """How a run that begins was called, and what it runs on."""
    on_gpu = torch.cuda.is_available() and config.trainer.accelerator != "cpu"
    device = torch.device("cuda:0" if on_gpu else "cpu")
    return {"command": _called(), "hardware": describe_hardware(device, processes(config)), "versions": versions()}


def _called() -> str:
    return command(HydraConfig.get().overrides.task if HydraConfig.initialized() else [])


def of_sweep(jobs: Sequence[Job], overrides: Sequence[str]) -> dict[str, Any]:
    """What a sweep is recorded by: the command, its table, figures over seeds, the hardware."""
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    rows = [{key: cell for key, cell in row.items() if key != "run"} for row in lines(jobs)]
    made_by = {"hardware": describe_hardware(device), "versions": versions(), "date": date.today().isoformat()}
    return {"command": command(["-m", *overrides]), "jobs": rows, "seeds": over_seeds(jobs), **made_by}


def command(overrides: Sequence[str]) -> str:
    """What the user wrote, the paths of this machine left out."""
    shown = []
    for override in overrides:
        key = override.split("=")[0]
        if key not in PATHS:
            shown.append(shlex.quote(override))
        elif key.startswith("data."):
            shown.append(f"{key}=…")
    return " ".join(["python -m gan_lab.train", *shown])
