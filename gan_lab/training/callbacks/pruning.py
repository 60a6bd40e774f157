"""Pruning: a job of a hyperparameter search that falls behind ends early."""

from typing import TYPE_CHECKING

from lightning.pytorch import Callback, Trainer

from gan_lab.common.distributed import broadcast, rank_and_world_size
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.study import STUDY_NAME, open_storage

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


class Pruning(Callback):
    """Reports the monitored metric to an Optuna trial after every quick evaluation, and stops the run if it is pruned.

    The metric is the one that ``best.ckpt`` is chosen by (``Checkpoint.monitor``).

    Attributes:
        pruned: True once the pruner has stopped the run.

    Args:
        folder: the sweep's folder, where the study is kept; None for a run that is not part of a search.
        id: the trial's id in the study.
        pruner: Optuna's pruner; None takes Optuna's default, which prunes jobs that are worse than the median of
            earlier jobs at the same number of images.
    """

    def __init__(self, folder: str | None = None, id: int | None = None, pruner: "BasePruner | None" = None) -> None:
        self.folder, self.id, self.pruner, self.pruned = folder, id, pruner, False
        self.reported: int | None = None

    @property
    def cuts_short(self) -> bool:
        """True if the run ends before its budget is used up."""
        return self.pruned

    def on_train_batch_end(self, trainer: Trainer, pl_module: object, *_: object) -> None:
        if self.folder is None or trainer.should_stop:  # a run at its end has nothing left to prune
            return
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        fidelity = next((each for each in callbacks if isinstance(each, Fidelity)), None)
        checkpoint = next((each for each in callbacks if isinstance(each, Checkpoint)), None)
        record = fidelity.last.get("quick") if fidelity else None
        if record is None or checkpoint is None or record["images_seen"] == self.reported:
            return
        self.reported = record["images_seen"]
        metric = checkpoint.monitored(trainer)
        if metric is None:
            return
        if broadcast(rank_and_world_size()[0] == 0 and self._falls_behind(metric[1], record["images_seen"])):
            self.pruned = trainer.should_stop = True

    def _falls_behind(self, value: float, images: int) -> bool:
        from optuna import Trial, load_study

        study = load_study(study_name=STUDY_NAME, storage=open_storage(str(self.folder)), pruner=self.pruner)
        trial = Trial(study, int(self.id or 0))
        trial.report(value, images)
        if not trial.should_prune():
            return False
        trial.set_user_attr("pruned", True)
        return True
