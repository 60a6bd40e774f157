"""How runs end: nothing of the training is lost, the logs are whole, and what is missing is measured later."""

import csv
import json
import signal

import ending_metrics
import pytest
import torch
from started import info, starter
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_lab.common.distributed import is_lost_rank
from gan_lab.common.errors import UserError
from gan_lab.train import train
from gan_lab.training.callbacks.samples import SampleGrid

IMAGES = 640
TINY = ["data=digits", "data.size=8", "batch_size=64", "model.generator.base=4", "model.discriminator.base=4",
        "trainer=cpu", "budget.epochs=null", f"budget.images={IMAGES}", "log_every=2", "callbacks.samples.n=4",
        "callbacks.samples.every=256", "callbacks.checkpoint.every=256", "callbacks.throughput=null",
        "callbacks.fidelity.every=256", "callbacks.fidelity.n=64", "metrics=none", "metrics@quick=none"]  # fmt: skip
RAISING = "+metrics.own={_target_: ending_metrics.Raising, _partial_: true}"
SIGNALLED = "+metrics.own={_target_: ending_metrics.Signalled, _partial_: true}"
COPIED = "+metrics.own={_target_: ending_metrics.Copied, _partial_: true}"
QUICK_SIGNALLED = "+quick.own={_target_: ending_metrics.Signalled, _partial_: true}"


@pytest.fixture
def start(tmp_path):
    return starter(tmp_path, TINY)


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def steps(run):
    with (run / "metrics.csv").open() as file:
        return [int(row["images"]) for row in csv.DictReader(file)]


def events(run):
    return EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0}).Reload()


def shown(run):
    """Steps and values of everything in the event files."""
    found = events(run)
    scalars = {tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    return scalars | {tag: [each.step for each in found.Images(tag)] for tag in found.Tags()["images"]}


def saved(run, name="last.ckpt"):
    return torch.load(run / name, weights_only=True)


def test_a_metric_that_raises_is_told_and_recorded_and_the_run_ends_well(start, caplog):
    run, status = start(RAISING)
    assert (status, info(run)["state"]) == (0, "finished")
    reason = "ValueError: too few images for this"
    assert info(run)["missing"] == {"final": reason}
    assert [(line["tier"], line["images_seen"], line["error"]) for line in lines(run)] == [("final", IMAGES, reason)]
    assert saved(run)["counters"]["images_seen"] == IMAGES
    assert f"The final evaluation failed, so its metrics are missing: {reason}" in caplog.text


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_the_last_metrics_that_a_signal_interrupts_are_measured_by_resuming(start, number, status):
    ending_metrics.signals[:] = [number]
    run, ended = start(SIGNALLED)
    assert (ended, info(run)["state"]) == (status, "stopped")
    assert info(run)["missing"] == {"final": "a signal ended the run first"}
    trained = saved(run)
    assert trained["counters"]["images_seen"] == IMAGES and not (run / "metrics.jsonl").exists()

    again, ended = start(SIGNALLED, "resume=auto")
    assert (again, ended, info(run)["state"]) == (run, 0, "finished") and "missing" not in info(run)
    assert [(line["tier"], line["figures"]) for line in lines(run)] == [("final", {"signalled": 64.0})]
    weights = saved(run)["state_dict"]
    assert all(torch.equal(value, weights[name]) for name, value in trained["state_dict"].items())
    assert saved(run)["callbacks"]["Fidelity"]["last"]["final"]["figures"] == {"signalled": 64.0}
    assert steps(run) == sorted(set(steps(run)))
    assert all(len(set(map(str, points))) == len(points) for points in shown(run).values())
    assert len(shown(run)["health/ema_distance_generator"]) == 1


def test_a_quick_evaluation_that_a_signal_interrupts_is_made_up_for(start):
    ending_metrics.signals[:] = [signal.SIGTERM]
    run, status = start(QUICK_SIGNALLED, "callbacks.checkpoint.monitor=quick_signalled")
    assert (status, info(run)["images_seen"]) == (143, 256) and "missing" not in info(run)
    start(QUICK_SIGNALLED, "callbacks.checkpoint.monitor=quick_signalled", "resume=auto")
    assert [line["images_seen"] for line in lines(run)] == [256, 512, 640]
    assert saved(run, "best.ckpt")["counters"]["images_seen"] == 256


def test_a_run_that_is_killed_while_it_measures_goes_on_there_and_its_logs_are_whole(start, tmp_path, caplog):
    killed = tmp_path.with_name("killed")
    ending_metrics.copies[:] = [(tmp_path, killed)]
    whole, _ = start(COPIED)
    (run,) = killed.glob("*/*")
    assert info(run)["state"] == "running" and saved(run)["counters"]["images_seen"] == IMAGES
    assert shown(run)["samples"][-1] == IMAGES  # logged after the checkpoint
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"tier": "quick"\n\0\xff\n{"tier": "fi')
    with (run / "metrics.csv").open("ab") as file:
        file.write(b"x,1\n\0\n12")
    start(COPIED, f"resume={run}")
    assert list(killed.glob("*/*")) == [run] and info(run)["state"] == "finished"
    assert "Damaged lines" in caplog.text and "Damaged rows" in caplog.text
    assert (run / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    assert [line["figures"] for line in lines(run)] == [line["figures"] for line in lines(whole)]
    assert shown(run) == shown(whole)
    assert all(torch.equal(value, saved(run)["state_dict"][name]) for name, value in saved(whole)["state_dict"].items())


def test_tensorboard_has_the_configuration_and_hyperparameters_of_a_real_run(start):
    run, _ = start()
    found = events(run)
    assert b'"batch_size": 64' in found.Tensors("config/text_summary")[0].tensor_proto.string_val[0]
    assert {"_hparams_/session_start_info", "_hparams_/session_end_info"} <= set(found.summary_metadata)


@pytest.mark.parametrize(
    "wrong",
    [
        ["data=folder", "data.root=nowhere"],
        ["callbacks.fidelity.n=1", SIGNALLED],
        ["callbacks.samples.n=0"],
        ["batch_size=5000"],
        ["model.engine.micro_batches=3"],
    ],
)
@pytest.mark.parametrize("where", ["runs={}/runs", "run_dir={}/mine/a/b/c"])
def test_a_run_that_cannot_begin_leaves_nothing_and_names_no_folder(tmp_path, caplog, wrong, where):
    with pytest.raises(UserError):
        train.run(*TINY, where.format(tmp_path), *wrong)
    assert not list(tmp_path.iterdir()) and "Run folder" not in caplog.text


def test_a_file_of_the_users_own_keeps_the_folder_of_a_run_that_cannot_begin(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError):
        train.run(*TINY, f"run_dir={tmp_path}", "callbacks.fidelity.n=1", SIGNALLED)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_errors_of_a_lost_rank_are_known():
    assert is_lost_rank(RuntimeError("[gloo] Timed out waiting 6000ms for recv operation to complete"))
    assert is_lost_rank(RuntimeError("Connection closed by peer [127.0.0.1]:4077"))
    assert not is_lost_rank(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_a_grid_that_a_signal_interrupts_is_owed():
    grid = SampleGrid(every=10, folder="unused")
    grid.load_state_dict({"every": {"last": 10}, "shown": 0})  # of an earlier version
    assert not grid.owed and grid.animated == -1
