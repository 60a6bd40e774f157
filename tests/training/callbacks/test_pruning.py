"""A job of a search reports its metric and ends when the pruner says so."""

import math
from types import SimpleNamespace

import optuna
import pytest
import torch
from optuna.trial import TrialState

from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.callbacks.pruning import LatestPercentile, Pruning
from gan_lab.training.callbacks.stop import is_cut_short
from gan_lab.training.study import STUDY_NAME, open_storage


@pytest.fixture
def study(tmp_path):
    return optuna.create_study(study_name=STUDY_NAME, storage=open_storage(tmp_path))


AT_ONE = optuna.pruners.ThresholdPruner(upper=1.0)


def trainer_with(tmp_path, trial, pruner=AT_ONE):
    fidelity = Fidelity(16, 24, str(tmp_path), {}, {})
    pruning = Pruning(str(tmp_path), trial._trial_id, pruner)
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


def curve(batch, end=2000, every=500, level=0.0):
    """The metric 100 exp(-n/500) + level of a job, measured at the first multiple of its batch size past each count."""
    counts = [-(-count // batch) * batch for count in range(every, end + 1, every)]
    return {n: 100 * math.exp(-n / 500) + level for n in counts}


def add_jobs(study, *curves, state=TrialState.COMPLETE):
    for metrics in curves:
        value = 0.0 if state == TrialState.COMPLETE else None
        study.add_trial(optuna.trial.create_trial(state=state, value=value, intermediate_values=metrics))


def pruned_at(study, metrics, pruner=None):
    """The number of images at which a job with these metrics is pruned; None if it is not."""
    trial = study.ask()
    pruner = LatestPercentile() if pruner is None else pruner
    for images, value in metrics.items():
        trial.report(value, images)
        if pruner.prune(study, study.trials[trial.number]):
            return images
    return None


BATCHES = (32, 48, 80, 96, 112)


def test_jobs_with_other_batch_sizes_are_compared_at_their_measurement_before(study):
    add_jobs(study, *(curve(batch, level=level) for level, batch in enumerate(BATCHES)))
    behind, ahead = curve(136, level=20), curve(136, level=-1)
    assert not {*behind} & {n for batch in BATCHES for n in curve(batch)}
    assert pruned_at(study, behind) == 1088  # by image 544 only two jobs had been measured
    assert pruned_at(study, ahead) is None
    assert pruned_at(study, behind, optuna.pruners.MedianPruner()) is None


def test_a_job_is_judged_by_its_latest_metric(study):
    add_jobs(study, *(curve(64, level=level) for level in range(5)))
    collapsed = curve(64, level=-5) | {2048: 300.0}
    assert pruned_at(study, collapsed) == 2048
    assert pruned_at(study, collapsed, optuna.pruners.MedianPruner()) is None
    assert pruned_at(study, {512: 1.0, 1024: math.nan}) == 1024


def test_a_later_measurement_of_another_job_is_not_held_against_one(study):
    add_jobs(study, *[{1000: 5.0, 3000: 1.0}] * 5)
    assert pruned_at(study, {999: 50.0, 2999: 4.0}) is None
    assert pruned_at(study, {999: 50.0, 2999: 4.0, 3001: 4.0}) == 3001


def test_larger_is_better_where_the_search_maximizes(tmp_path):
    study = optuna.create_study(direction="maximize")
    add_jobs(study, *({500: 0.1 * level} for level in range(5)))
    assert pruned_at(study, {600: 0.19}) == 600 and pruned_at(study, {600: 0.21}) is None


def test_a_percentile_keeps_as_many_jobs_and_starts_as_late_as_asked(study):
    add_jobs(study, *({500: float(level)} for level in range(5)))
    job = {600: 1.5}
    assert pruned_at(study, job) is None and pruned_at(study, job, LatestPercentile(25.0)) == 600
    assert pruned_at(study, job, LatestPercentile(25.0, startup=6)) is None
    assert pruned_at(study, job, LatestPercentile(25.0, warmup=601)) is None


def test_jobs_that_were_pruned_or_measured_nothing_do_not_count(study):
    add_jobs(study, *[{500: 1.0}] * 4, {500: math.nan})
    add_jobs(study, *[{500: 1.0}] * 5, state=TrialState.PRUNED)
    assert pruned_at(study, {600: 9.0}) is None


def test_a_job_without_a_pruner_of_its_own_is_pruned_by_the_latest_percentile(tmp_path, study):
    add_jobs(study, *(curve(64, level=level) for level in range(5)))
    trial = study.ask()
    _, measured = trainer_with(tmp_path, trial, None)
    assert not measured(1030, 1.0) and measured(1100, 90.0)


def test_a_measurement_repeated_after_a_resume_is_not_reported_twice(tmp_path, study, recwarn):
    trial = study.ask()
    for _ in range(2):
        trainer_with(tmp_path, trial)[1](16, 0.5)
    assert not [each for each in recwarn if issubclass(each.category, UserWarning)]
