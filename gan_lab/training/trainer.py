"""Lightning's Trainer for a run, with the callbacks that every run has."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

from gan_lab.common.capabilities import Identity, KnownAgain
from gan_lab.common.class_names import check_class_names, name_classes
from gan_lab.common.device import versions
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.launch import rank_timeout
from gan_lab.common.renames import FORMAT
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.logs import Logs
from gan_lab.training.callbacks.stop import StopOnSignal
from gan_lab.training.checkpoint import AtomicCheckpointIO
from gan_lab.training.quick import NoProfiler, keep_freed_memory, stop_looking_for_a_driver
from gan_lab.training.run_config import RunConfig
from gan_lab.training.transfer import CarriedClasses

EXPECTED_WARNINGS = (
    ".*does not have many workers",
    ".*Checkpoint directory .* exists",
    ".*smaller than the logging interval",
    r"Found \d+ module\(s\) in eval mode",
    ".*LeafSpec.* is deprecated",
    ".*callbacks used to create the checkpoint need to be provided",  # a resumed run may leave some out
)

RECORDED = ("model", "data", "seed", "precision")
"""Keys of a configuration that checkpoints keep."""


def make_trainer(config: RunConfig) -> tuple[Trainer, StopOnSignal]:
    """Makes Lightning's Trainer with the configured callbacks and loggers, and those that every run has."""
    stop = StopOnSignal()
    record = Record({key: config.values[key] for key in RECORDED})
    # A node without a target is what a recipe sets of a callback that was left out.
    chosen = [node for node in config.callbacks.values() if node and "_target_" in node]
    callbacks = [stop, record, Logs(), *(instantiate(node) for node in chosen)]
    callbacks += [CarriedClasses(config.init_from)] if config.init_from else []
    loggers = [instantiate(node) for node in config.logger.values() if node]
    for logger in loggers:
        logger.log_hyperparams(config.values)
    arguments = {
        "precision": config.precision,
        "max_epochs": -1,
        "use_distributed_sampler": False,
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
        "default_root_dir": config.run_dir,
    }
    defaults = {"enable_model_summary": False}
    make = instantiate({**defaults, **config.trainer, **arguments, "_partial_": True})
    quick = {} if config.trainer.get("profiler") else {"profiler": NoProfiler()}
    trainer = make(callbacks=callbacks, logger=loggers or False, plugins=[AtomicCheckpointIO()], **quick)
    stop_looking_for_a_driver()
    keep_freed_memory()
    if hasattr(trainer.strategy, "_timeout"):  # of a strategy that Lightning makes by its name
        trainer.strategy._timeout = rank_timeout(config.rank_timeout)
    return trainer, stop


class Record(Callback):
    """Adds to every checkpoint the configurations that rebuild model and data, the data's identities and class names,
    and versions; a conditional model knows the names of its classes during training too.
    """

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self.configuration = dict(configuration)
        self.identities: dict[str, Identity] | None = None

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        names, data = _class_names(trainer), getattr(trainer, "datamodule", None)
        if self.identities is None and isinstance(data, KnownAgain):
            self.identities = data.identities()
        known = {"identities": self.identities} if self.identities else {}
        facts = {"class_names": names, "format": FORMAT, "versions": versions()}
        checkpoint["gan_lab"] = {**self.configuration, **known, **facts}

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Checks that a resumed conditional model finds its classes in their order.

        Raises:
            UserError: if they are others.
        """
        stored = checkpoint["gan_lab"]
        check_class_names(module, stored.get("class_names"), _class_names(trainer))
        orders = [each.get("data", {}).get("class_order") for each in (stored, self.configuration)]
        names = _class_names(trainer)
        if getattr(module, "classes", 0) and orders == ["text", "natural"] and names != sorted(names):
            raise UserError(
                "The run numbered its classes in the order of characters, 10 before 2: add data.class_order=text."
            )

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        name_classes(module, _class_names(trainer))


def _class_names(trainer: Trainer) -> list[str]:
    return list(getattr(getattr(trainer, "datamodule", None), "class_names", ()))


class _OwnMessages(logging.Filter):
    """Passes this program's messages through Lightning's logger, but not Lightning's own remarks and advertisements."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or f"{os.sep}lightning{os.sep}" not in record.pathname


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """Silences Lightning's remarks on what this program does on purpose: its loader, its cadence, averaged networks."""
    logger, ours = logging.getLogger("lightning.pytorch.utilities.rank_zero"), _OwnMessages()
    logger.addFilter(ours)
    try:
        with warnings.catch_warnings():
            for message in EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.removeFilter(ours)
