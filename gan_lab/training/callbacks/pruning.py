"""Pruning: a job of a hyperparameter search that falls behind ends early."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from lightning.pytorch import Callback, Trainer

from gan_lab.common.bounds import Natural
from gan_lab.common.distributed import broadcast, rank_and_world_size
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.study import STUDY_NAME, open_storage

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial


class LatestPercentile:
    """A pruner of Optuna's that compares jobs whose metrics were measured at different numbers of images.

    A job is compared with every finished job at that job's last measurement before the same number of images, and by
    its own latest metric, so that a late collapse counts. Optuna's ``PercentilePruner`` compares equal steps only,
    which jobs with different batch sizes hardly have in common, and takes the job's best metric.

    Args:
        percentile: share of the finished jobs, in percent from the best, within which a job goes on.
        startup: finished jobs without which nothing is pruned.
        warmup: number of images up to which nothing is pruned.
    """

    def __init__(self, percentile: float = 50.0, startup: int = 5, warmup: int = 0) -> None:
        self.percentile, self.startup, self.warmup = percentile, max(startup, 1), warmup

    def prune(self, study: "Study", trial: "FrozenTrial") -> bool:
        """Returns True if the trial's latest metric is worse than the percentile of the finished jobs."""
        images = trial.last_step
        if images is None or images < self.warmup:
            return False
        finished = [each.intermediate_values for each in study.trials if each.state.name == "COMPLETE"]
        comparable = [value for each in finished if (value := _value_before(images, each)) is not None]
        if len(comparable) < self.startup:
            return False
        sign = 1 if study.direction.name == "MINIMIZE" else -1
        bound = np.percentile([sign * value for value in comparable], self.percentile)
        return not sign * trial.intermediate_values[images] <= bound  # a metric that is not a number is worse


def _value_before(images: int, metrics: Mapping[int, float]) -> float | None:
    """Returns the last finite metric at or before a number of images; None without one."""
    measured = [each for each, value in metrics.items() if each <= images and math.isfinite(value)]
    return metrics[max(measured)] if measured else None


class Pruning(Callback):
    """Reports the monitored metric to an Optuna trial after every quick evaluation, and stops the run if it is pruned.

    The metric is the one that ``best.ckpt`` is chosen by (``Checkpoint.monitor``).

    Attributes:
        pruned: True once the pruner has stopped the run.

    Args:
        folder: the sweep's folder, where the study is kept; None for a run that is not part of a search.
        id: the trial's id in the study.
        pruner: Optuna's pruner; None takes ``LatestPercentile``, which prunes jobs that are worse than the median of
            finished jobs.
    """

    def __init__(
        self, folder: str | None = None, id: Natural | None = None, pruner: "BasePruner | None" = None
    ) -> None:
        self.folder, self.id, self.pruned = folder, id, False
        self.pruner = LatestPercentile() if pruner is None else pruner
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

        storage, id = open_storage(str(self.folder)), int(self.id or 0)
        study = load_study(study_name=STUDY_NAME, storage=storage, pruner=self.pruner)  # type: ignore[arg-type]
        trial = Trial(study, id)
        if images not in storage.get_trial(id).intermediate_values:  # which a resumed run may measure again
            trial.report(value, images)
        if not trial.should_prune():
            return False
        trial.set_user_attr("pruned", True)
        return True
