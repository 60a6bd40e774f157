"""The record of a run: enough to trust its metrics and to repeat it."""

from datetime import date
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from gan_lab.common.device import describe_hardware, versions
from gan_lab.common.launch import process_count
from gan_lab.common.start_folder import STARTED_IN
from gan_lab.training.run_config import RunConfig


def result(config: RunConfig, command: str, trainer: Trainer, model: Any) -> dict[str, Any]:
    """The record of a finished run: the command, the counters, the summaries of its callbacks, the hardware."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    summaries = {type(each).__name__.lower(): each.summary() for each in callbacks if hasattr(each, "summary")}
    parts = dict(model.named_children())
    return {
        "name": config.name,
        "command": command,
        "counters": {
            "images_seen": model.images_seen,
            "iteration": model.iteration,
            "seconds": round(model.seconds, 1),
        },
        **summaries,
        "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()},
        "networks": {name: f"{type(part).__module__}.{type(part).__name__}" for name, part in parts.items()},
        "precision": config.precision,
        "seed": config.seed,
        "hardware": describe_hardware(trainer.strategy.root_device, trainer.world_size),
        "versions": versions(),
        "date": date.today().isoformat(),
    }


def environment_info(config: RunConfig, command: str) -> dict[str, Any]:
    """The command of a run that begins, with the overrides that compose it again and the folder that their paths are
    relative to, its hardware and its versions.
    """
    on_gpu = torch.cuda.is_available() and config.trainer.get("accelerator") != "cpu"
    device = torch.device("cuda:0" if on_gpu else "cpu")
    return {
        "command": command,
        **({} if config.overrides is None else {"overrides": list(config.overrides)}),
        STARTED_IN: str(Path.cwd()),
        "hardware": describe_hardware(device, process_count(config.trainer)),
        "versions": versions(),
    }
