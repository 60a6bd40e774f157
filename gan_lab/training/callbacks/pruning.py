"""A job of a search that falls behind ends early."""

from typing import Any

from lightning.pytorch import Callback, Trainer

from gan_lab.common.distributed import broadcast, rank_and_world_size
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.trials import STUDY, journal


class Pruning(Callback):
    """Reports the figure that the best checkpoint goes by to an Optuna trial after every quick measurement, and stops
    the run where its pruner says so.

    Attributes:
        pruned: whether it did.

    Args:
        folder: of the sweep, where the study is kept; None for a run that is no part of a search.
        id: of the trial.
        pruner: Optuna's; None ends what is worse than the median of earlier jobs at the same number of images.
    """

    def __init__(self, folder: str | None = None, id: int | None = None, pruner: Any = None) -> None:
        self.folder, self.id, self.pruner, self.pruned = folder, id, pruner, False
        self.reported: int | None = None

    @property
    def cuts_short(self) -> bool:
        return self.pruned

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if self.folder is None or trainer.should_stop:  # what is at its end has nothing left to prune
            return
        measured = next((each for each in trainer.callbacks if isinstance(each, Fidelity)), None)  # type: ignore[attr-defined]
        kept = next((each for each in trainer.callbacks if isinstance(each, Checkpoint)), None)  # type: ignore[attr-defined]
        record = measured.last.get("quick") if measured else None
        if record is None or kept is None or record["images_seen"] == self.reported:
            return
        self.reported = record["images_seen"]
        figure = kept.figure(trainer)
        if figure is not None and broadcast(
            rank_and_world_size()[0] == 0 and self._falls_behind(figure[1], record["images_seen"])
        ):
            self.pruned = trainer.should_stop = True

    def _falls_behind(self, value: float, images: int) -> bool:
        from optuna import Trial, load_study

        study = load_study(study_name=STUDY, storage=journal(str(self.folder)), pruner=self.pruner)
        trial = Trial(study, int(self.id or 0))
        trial.report(value, images)
        if not trial.should_prune():
            return False
        trial.set_user_attr("pruned", True)
        return True
