"""A dry run: everything is built and a few iterations are timed on the real data, but nothing is kept."""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from gan_lab.common.instantiate import instantiate
from gan_lab.common.launch import process_count
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.estimate import Estimate
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.fit import build_parts, find_data
from gan_lab.training.forecast import advice
from gan_lab.training.rehearsal import rehearse
from gan_lab.training.run_config import RUN_DIR, RunConfig
from gan_lab.training.trainer import make_trainer, without_remarks

MIB = 2**20


def dry_run(config: RunConfig) -> None:
    """Says what a run would take: parameters, memory, checkpoints, time, and where it would be written.

    It trains for a few iterations with weights that are thrown away, on one device. Public data that are missing are
    downloaded, as the run would.

    Args:
        config: the run's configuration.

    Raises:
        UserError: for everything that the run would refuse before it begins.
        SystemExit: after a signal, with 128 and its number.
    """
    place = f"{Path(config.runs) / config.name}/<date>_<time>" if config.run_dir == RUN_DIR else config.run_dir
    with TemporaryDirectory(prefix="gan_lab-dry-run-") as folder:
        timed = _timed(config.in_folder(Path(folder) / "run"), Path(folder))
    for line in timed.lines(place):
        rank_zero_info(line)


def _timed(config: RunConfig, folder: Path) -> "Timing":
    """Trains until the estimate is known; files are written below ``folder`` alone."""
    data, model = build_parts(config)
    find_data(data)
    rehearse(config, data, model)
    own = {name: node for name, node in config.callbacks.items() if node and "_target_" in node}
    timing = Timing(config, folder, _evaluators(own, model, data))
    with without_remarks():
        trainer, stop = make_trainer(_alone(config))
        trainer.callbacks[:0] = [timing.estimate, timing]  # type: ignore[attr-defined]
        trainer.fit(model, datamodule=data)
    if stop.received:
        sys.exit(128 + stop.received)
    return timing


def _alone(config: RunConfig) -> RunConfig:
    """Returns the configuration on one device, without callbacks and loggers."""
    trainer = dict(config.trainer)
    if process_count(config.trainer) > 1:
        trainer |= {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    return RunConfig.of({**config.values, "trainer": trainer, "callbacks": {}, "logger": {}}, config.overrides)


def _evaluators(nodes: dict[str, Any], model: Any, data: Any) -> list[Any]:
    """Returns the callbacks that sample and measure, which the estimate asks for what they cost."""
    found = [instantiate(nodes[name]) for name in ("samples", "fidelity") if name in nodes]
    for callback in found:
        if hasattr(callback, "rehearse"):
            callback.rehearse(model, data)
    return found


class Timing(Callback):
    """Ends training once the estimate is known, and keeps what the run would take.

    Args:
        config: the run's configuration.
        folder: for a checkpoint, which is removed at once.
        costly: callbacks that sample and measure; they do nothing here.
    """

    def __init__(self, config: RunConfig, folder: Path, costly: list[Any]) -> None:
        self.config, self.folder = config, folder
        scale = config.values.get("scale") or {}
        self.scale = str(scale.get("name", "paper"))
        own = config.callbacks.get("estimate") or {}
        self.widths = dict(own.get("widths") or {})
        self.estimate = Estimate(scale=self.scale, say=False, costly=costly)
        self.parameters: dict[str, int] = {}
        self.checkpoint, self.device, self.size = 0, "cpu", None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Lets the evaluations have the sizes that they would have in the run."""
        for each in self.estimate.costly or ():
            if isinstance(each, Fidelity):
                each.on_train_start(trainer, module)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        if self.estimate.forecast is not None or trainer.should_stop:
            trainer.should_stop = True
            self.device, self.parameters = module.device.type, parameters(module)
            self.size = getattr(trainer.datamodule, "size", None)  # type: ignore[attr-defined]
            self.checkpoint = self._checkpoint_bytes(trainer)

    def _checkpoint_bytes(self, trainer: Trainer) -> int:
        """Returns the size of a checkpoint, which is written and removed."""
        path = self.folder / "trial.ckpt"
        trainer.save_checkpoint(path, weights_only=False)
        size = path.stat().st_size
        path.unlink()
        return size

    def lines(self, place: str) -> Iterator[str]:
        """Yields what is known, a line for each fact.

        Args:
            place: where the run would be written.
        """
        listed = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in self.parameters.items())
        yield f"Dry run: nothing was saved. Parameters: {listed}; {sum(self.parameters.values()) / 1e6:.2f} M in all."
        forecast = self.estimate.forecast
        if forecast is None:
            yield "The budget was used up before the speed was known."
        else:
            yield forecast.sentence()
            if more := advice(forecast, self.device, self.size, self.scale, self.widths):
                yield more
        kept = [node for node in self.config.callbacks.values() if _is_checkpoint(node)]
        saved = f"last.ckpt and best.ckpt, {self.checkpoint / MIB:,.0f} MiB each" if kept else "no checkpoint"
        yield f"A run would write to {place}: {saved}."


def parameters(module: nn.Module) -> dict[str, int]:
    """Returns the number of parameters of each network, without averaged copies."""
    counts = {name: sum(each.numel() for each in child.parameters()) for name, child in module.named_children()}
    return {name: count for name, count in counts.items() if count and name != "ema"}


def _is_checkpoint(node: Any) -> bool:
    target = str((node or {}).get("_target_", ""))
    return target == f"{Checkpoint.__module__}.{Checkpoint.__qualname__}"
