"""What a finished run is recorded by: enough to trust its figure and to make it again."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from lightning.pytorch import Trainer

from gan_lab.cli import PATHS
from gan_lab.machine import hardware, versions


def result(plain: Mapping[str, Any], trainer: Trainer, model: Any) -> dict[str, Any]:
    """What a finished run is recorded by: the command, the counters, what its callbacks sum up, the hardware."""
    sums = {type(c).__name__: c.summary() for c in trainer.callbacks if hasattr(c, "summary")}  # type: ignore[attr-defined]
    return {
        "name": plain["name"],
        "command": " ".join(["python -m gan_lab.train", *_overrides()]),
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
        "hardware": hardware(trainer.strategy.root_device, trainer.world_size),
        "versions": versions(),
        "date": date.today().isoformat(),
    }


def _overrides() -> list[str]:
    """What the user wrote after the command, the paths of this machine left out."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return []
    shown = []
    for override in HydraConfig.get().overrides.task:
        key = override.split("=")[0]
        if key not in PATHS:
            shown.append(override)
        elif key.startswith("data."):
            shown.append(f"{key}=…")
    return shown
