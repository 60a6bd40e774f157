"""Keeps the logs in step with the checkpoints."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from gan_lab.training.loggers import LOGS, Marks, begin_logs, log_marks


class Logs(Callback):
    """Writes all logs to disk before a checkpoint, which records how far they reach.

    A resumed run drops what was logged after its checkpoint, and logs it again: no row is lost, and none is doubled.
    """

    def __init__(self) -> None:
        self.marks: Marks | None = None

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[LOGS] = log_marks(trainer.loggers) if trainer.is_global_zero else {}

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self.marks = checkpoint.get(LOGS)

    def on_fit_start(self, trainer: Trainer, module: Any) -> None:
        begin_logs(trainer.loggers, module.images_seen, self.marks)
