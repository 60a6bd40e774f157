"""A job of a search reports its metric and ends when the pruner says so."""

from types import SimpleNamespace

import optuna
import pytest
import torch

from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.callbacks.pruning import Pruning
from gan_lab.training.callbacks.stop import is_cut_short
from gan_lab.training.study import STUDY_NAME, open_storage


@pytest.fixture
def study(tmp_path):
    return optuna.create_study(study_name=STUDY_NAME, storage=open_storage(tmp_path))


def trainer_with(tmp_path, trial):
    fidelity = Fidelity(16, 24, str(tmp_path), {}, {})
    pruning = Pruning(str(tmp_path), trial._trial_id, optuna.pruners.ThresholdPruner(upper=1.0))
    callbacks = [fidelity, pruning, Checkpoint(str(tmp_path))]
    trainer = SimpleNamespace(callbacks=callbacks, callback_metrics={}, should_stop=False)

    def measured(images, value):
        fidelity.last = {"quick": {"images_seen": images}}
        trainer.callback_metrics["quick_fd_grey"] = torch.tensor(value)
        pruning.on_train_batch_end(trainer, None)
        return trainer.should_stop

    return trainer, measured


def test_a_job_that_falls_behind_ends_and_is_marked_as_pruned(tmp_path, study):
    trial = study.ask()
    trainer, measured = trainer_with(tmp_path, trial)
    assert not measured(16, 0.5) and not is_cut_short(trainer)
    assert not measured(16, 7.0)  # the same measurement is not reported again
    assert measured(32, 2.0) and is_cut_short(trainer)
    (seen,) = study.trials
    assert seen.intermediate_values == {16: 0.5, 32: 2.0} and seen.user_attrs["pruned"]


def test_a_run_at_the_end_of_its_budget_is_not_pruned(tmp_path, study):
    trial = study.ask()
    trainer, measured = trainer_with(tmp_path, trial)
    trainer.should_stop = True
    measured(16, 7.0)
    assert not is_cut_short(trainer) and "pruned" not in study.trials[0].user_attrs


def test_a_run_outside_a_search_reports_nothing():
    callback = Pruning()
    callback.on_train_batch_end(SimpleNamespace(), None)
    assert not callback.cuts_short
