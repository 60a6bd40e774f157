"""A disk that is full or read-only: one sentence, what is there stays, and the run goes on when there is room."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

import gan_lab
from gan_lab.cli.errors import report_user_errors
from gan_lab.common import atomic, runs
from gan_lab.common.atomic import writing
from gan_lab.common.errors import UserError, WriteError
from gan_lab.training.checkpoint import AtomicCheckpointIO
from gan_lab.training.loggers import CSV


@contextmanager
def small_disk(size):
    """Lets no file grow beyond ``size`` bytes, as a disk would that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "because the disk is full: free some space"),
        (errno.EROFS, "because its disk is read-only"),
        (errno.EACCES, "(Permission denied)"),
    ],
)
def test_a_file_that_cannot_be_written_is_named_in_one_sentence(number, said, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    runs.write_json(path, {"a": 1})

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(UserError) as refusal:
        runs.write_json(path, {"a": 2})
    assert str(refusal.value).startswith(f"{path} cannot be written") and said in str(refusal.value)
    assert isinstance(refusal.value, OSError) and refusal.value.errno == number
    assert json.loads(path.read_text()) == {"a": 1} and [*tmp_path.iterdir()] == [path]


def test_errors_of_a_network_pass():
    with pytest.raises(ConnectionResetError), writing("x"):
        raise ConnectionResetError(errno.ECONNRESET, "reset")


def test_a_full_disk_outside_of_these_writers_is_a_sentence_too(capsys):
    def work():
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    with pytest.raises(SystemExit) as end:
        report_user_errors(work)()
    assert end.value.code == 2 and capsys.readouterr().err.startswith("gan_lab: somewhere cannot be written, because")


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path):
    path, io = tmp_path / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"weights": torch.ones(3)}, path)
    before = path.read_bytes()
    with small_disk(50_000), pytest.raises(WriteError, match=r"last\.ckpt cannot be written \(File too large\)"):
        io.save_checkpoint({"weights": torch.ones(100_000)}, path)
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


def test_a_table_that_does_not_fit_is_named(tmp_path):
    table = CSV(tmp_path)
    table.log_metrics({"loss": 1.0}, 1)
    table.save()
    for step in range(2, 500):
        table.log_metrics({"loss": step / 7}, step)
    with small_disk(1000), pytest.raises(WriteError, match=r"metrics\.csv cannot be written"):
        table.save()


def test_a_run_on_a_full_disk_does_not_stay_running(tmp_path, monkeypatch):
    run = runs.Run(tmp_path / "run")
    run.begin({"seed": 0})

    def full(path, content):
        raise WriteError("full")

    monkeypatch.setattr(runs, "write_json", full)
    run.end("failed", error="full")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["state"] == "failed" and run.lock is None and not runs.is_running(tmp_path / "run")


TINY = ["data=digits", "data.size=16", "model.generator.base=4", "model.discriminator.base=4", "trainer=cpu"]
TINY += ["callbacks.samples=null", "callbacks.fidelity=null", "logger=none", "callbacks.checkpoint.every=64"]
LIMITED = (
    "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); "
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from gan_lab.train import train; train()"
)


def test_a_training_whose_disk_fills_goes_on_when_there_is_room(tmp_path):
    from gan_lab.train import train

    folder = tmp_path / "run"
    train.run(*TINY, "budget.images=64", f"run_dir={folder}")
    before, longer = (folder / "last.ckpt").read_bytes(), [*TINY, "budget.images=128", f"resume={folder}"]
    command = [sys.executable, "-W", "ignore", "-c", LIMITED, *longer]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("gan_lab:")]
    assert sentence.endswith("run/last.ckpt cannot be written (File too large): choose another place.")
    assert json.loads((folder / "run.json").read_text())["state"] == "failed"
    assert (folder / "last.ckpt").read_bytes() == before
    train.run(*longer)
    assert gan_lab.load(folder).images_seen == 128
