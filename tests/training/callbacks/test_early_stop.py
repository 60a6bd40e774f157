"""Runs that end when their metric has stopped improving: as finished ones, exactly, on any number of processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import ending_metrics
import pytest
import torch
from started import info, starter

from gan_lab.common.errors import UserError
from gan_lab.train import train
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.early_stop import EarlyStop, early_end
from gan_lab.training.callbacks.fidelity import Fidelity

NAN = float("nan")
TINY = ["data=digits", "data.size=8", "batch_size=64", "model.generator.base=4", "model.discriminator.base=4",
        "trainer=cpu", "budget.images=640", "callbacks.samples=null", "callbacks.throughput=null", "logger=none",
        "callbacks.fidelity.every=64", "callbacks.fidelity.n=32", "metrics=none", "metrics@quick=none",
        "+quick.own={_target_: ending_metrics.Planned, _partial_: true}",
        "callbacks.checkpoint.monitor=quick_planned"]  # fmt: skip
FINAL = "+metrics.own={_target_: ending_metrics.Signalled, _partial_: true}"


def followed(tmp_path, patience, values, mode="min", state=None):
    """Shows the callback these values; returns it and the number of measurements after which it ended the run."""
    fidelity, stopping = Fidelity(16, 24, str(tmp_path), {}, {}), EarlyStop(patience)
    fidelity.evaluators = {"quick": None}
    callbacks = [fidelity, stopping, Checkpoint(str(tmp_path), mode=mode)]
    trainer = SimpleNamespace(callbacks=callbacks, callback_metrics={}, should_stop=False)
    if state is not None:
        stopping.load_state_dict(state)
    stopping.on_train_start(trainer, SimpleNamespace(images_seen=0))
    for number, value in enumerate(values, 1):
        if trainer.should_stop:
            return stopping, number - 1
        figures = {} if value is None else {"quick_fd_grey": value}
        fidelity.last = {"quick": {"images_seen": 16 * (number + stopping.judged), "figures": figures}}
        trainer.callback_metrics.update({name: torch.tensor(each) for name, each in figures.items()})
        for _ in range(3):  # iterations without a new measurement count nothing
            stopping.on_train_batch_end(trainer, SimpleNamespace(images_seen=16 * number))
    return stopping, len(values) if trainer.should_stop else None


@pytest.mark.parametrize(
    ("patience", "values", "mode", "ends"),
    [
        (2, [3.0, 2.0, 2.5, 2.0, 1.0], "min", 4),
        (2, [3.0, 2.0, 2.5, 1.9, 2.0, 1.8], "min", None),
        (1, [0.1, 0.2, 0.3, 0.3], "max", 4),
        (2, [3.0, NAN, NAN], "min", 3),
        (2, [NAN, NAN, NAN, 3.0, 2.0], "min", None),
        (2, [3.0, None, 3.5, None, 2.9], "min", None),
        (None, [1.0, 2.0, 3.0, 4.0], "min", None),
    ],
    ids=["two in a row", "it improves again", "higher is better", "not a number", "nothing yet", "failed", "never"],
)
def test_it_ends_after_so_many_measurements_without_an_improvement(tmp_path, patience, values, mode, ends):
    assert followed(tmp_path, patience, values, mode)[1] == ends


def test_its_state_survives_a_resume(tmp_path):
    first, _ = followed(tmp_path, 2, [3.0, 3.5])
    assert (first.best, first.since) == (3.0, 1)
    second, ends = followed(tmp_path, 2, [4.0], state=first.state_dict())
    assert ends == 1 and second.reason == (
        "quick_fd_grey has not improved for 2 measurements since 3 at 16 images"
    )  # fmt: skip
    third, ends = followed(tmp_path, 2, [], state=second.state_dict())
    assert third.reason and ends == 0  # it has ended already
    assert followed(tmp_path, 3, [5.0, 6.0], state=second.state_dict())[1] == 1
    another, ends = followed(tmp_path, 2, [400.0, 300.0], state=first.state_dict() | {"name": "quick_other"})
    assert (another.best, another.since, ends) == (300.0, 0, None)  # values of two metrics are not compared


@pytest.fixture
def start(tmp_path):
    return starter(tmp_path, TINY)


def seen(run, name="last.ckpt"):
    return torch.load(run / name, weights_only=True)["counters"]["images_seen"]


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_ends_as_a_finished_one_and_says_why(start, caplog):
    ending_metrics.plan[:] = [3.0, 2.0, 2.5, 2.6, 0.0]
    run, status = start("early_stop=2", FINAL)
    why = "quick_planned has not improved for 2 measurements since 2 at 128 images"
    assert (status, info(run)["state"], info(run)["ended_early"]) == (0, "finished", why)
    assert f"{why}, so training ends after 256 (early_stop)." in caplog.text
    assert (seen(run), seen(run, "best.ckpt"), info(run)["images_seen"]) == (256, 128, 256)
    assert [(line["tier"], line["images_seen"]) for line in lines(run)][-2:] == [("quick", 256), ("final", 256)]


def test_a_run_within_its_patience_ends_with_its_budget(start):
    ending_metrics.plan[:] = [3.0] * 20
    run, _ = start("early_stop=20")
    assert info(run)["images_seen"] == 640 and "ended_early" not in info(run)


def test_the_last_metrics_that_a_signal_interrupts_are_made_up_for_without_training(start):
    ending_metrics.plan[:] = [3.0, 3.1]
    ending_metrics.signals[:] = [signal.SIGTERM]
    run, status = start("early_stop=1", FINAL)
    assert (status, info(run)["state"], seen(run)) == (143, "stopped", 128)
    again, status = start("early_stop=1", FINAL, "resume=auto")
    assert (again, status, info(run)["state"]) == (run, 0, "finished") and "missing" not in info(run)
    assert (seen(run), lines(run)[-1]["tier"]) == (128, "final")


def test_a_run_that_ended_goes_on_with_more_patience(start):
    ending_metrics.plan[:] = [3.0, 3.1]
    run, _ = start("early_stop=1")
    ending_metrics.plan[:] = [2.0, 2.1, 2.2, 2.3]
    train.run(f"resume={run}", "early_stop=2")
    assert info(run)["ended_early"].startswith("quick_planned has not improved for 2 measurements since 2 at 192")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["early_stop=0"], "early_stop=0 is not valid: give .*at least 1"),
        (["early_stop=3", "callbacks.early_stop=null"], "early_stop=3 needs callbacks.early_stop"),
        (["early_stop=3", "callbacks.checkpoint=null"], "early_stop=3 needs callbacks.checkpoint"),
        (["early_stop=3", "callbacks.fidelity.every=0"], "early_stop=3 follows a metric that is measured during"),
        (["early_stop=3", "callbacks.checkpoint.monitor=null"], "early_stop=3 has no metric to follow"),
    ],
)
def test_without_a_metric_to_follow_it_is_refused(tmp_path, arguments, said):
    given = [each for each in TINY if not each.startswith("callbacks.checkpoint")]
    with pytest.raises(UserError, match=said):
        train.run(*given, f"runs={tmp_path}", *arguments)
    assert not list(tmp_path.iterdir())


def test_two_processes_stop_together(tmp_path):
    tests = Path(__file__).parents[2]
    variables = {**os.environ, "GAN_LAB_TEST_PLAN": "3,2,2.5,2.6,2.7"}
    command = [sys.executable, "-m", "gan_lab.train", *TINY, "trainer=ddp_cpu", f"runs={tmp_path}", "early_stop=2"]
    done = subprocess.run(command, cwd=tests, env=variables, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("*/*")
    assert (info(run)["state"], info(run)["images_seen"], seen(run)) == ("finished", 256, 256)
    assert early_end(SimpleNamespace(callbacks=[])) is None
