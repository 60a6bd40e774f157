"""What is wrong with a job of a sweep is said before the first job starts."""

import pytest

from gan_lab.cli.command import make_ready
from gan_lab.cli.config.paths import home
from gan_lab.cli.sweeps import lines
from gan_lab.common.errors import UserError
from gan_lab.train import TrainRequest


def check(*overrides):
    make_ready("train", overrides)
    lines.check_sweep(home("conf") / "train.yaml", TrainRequest, overrides)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["batch_size=8,maybe"], "batch_size=maybe"),
        (["budget.images=10,-1", "seed=range(0,200)"], "budget.images=-1"),
        (["callbacks.samples.n=8,0"], "callbacks.samples.n=0"),
        (["model=dcgan,vae", "model.generator.base=8"], "There is no key model.generator.base"),
        (["sweep=rates", "model.g_optimizer.lr=0.1,fast"], "model.g_optimizer.lr=fast"),
        (["seed=1,2", "hydra.callbacks.sweep.record=/dev/null/x/y.json"], "give another hydra.callbacks.sweep.record"),
    ],
)
def test_a_job_with_a_wrong_line_is_refused(overrides, said):
    with pytest.raises(UserError, match=said):
        check(*overrides)


def test_values_that_do_not_work_together_are_left_to_their_job():
    check("data.size=8,7", "model=dcgan,sngan", "seed=1,2,3")


def test_of_a_search_the_first_job_is_checked():
    with pytest.raises(UserError, match="batch_size=0"):
        check("hydra/sweeper=optuna", "batch_size=range(0,3)")
    check("hydra/sweeper=optuna", "seed=1,no")


def test_every_job_is_composed_or_every_value_of_many():
    swept = [["a=1", "a=2"], ["b=1", "b=2", "b=3"], ["c=1"]]
    assert len([*lines._lines(swept)]) == 6
    many = [*lines._lines([[f"{key}={n}" for n in range(9)] for key in "abc"])]
    assert len(many) == 24 and ["a=0", "b=8", "c=0"] in many
