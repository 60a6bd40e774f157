"""Checkpoints by name: the newest run's, and those of the newest run of a name."""

import os
from pathlib import Path

import pytest
from variational import checkpoint

from gan_lab.common.errors import UserError
from gan_lab.common.named_checkpoints import named_checkpoint
from gan_lab.common.runs import BEST, LAST
from gan_lab.evaluate import evaluate
from gan_lab.sample import sample

OLD, MIDDLE = "dcgan-digits/2026-01-02_00-00-00", "vae-digits/2026-01-03_00-00-00"
NEW = "dcgan-digits/2026-01-01_00-00-00"


def saved(folder, seconds, *names):
    folder.mkdir(parents=True)
    for name in names or (LAST,):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (seconds, seconds))


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three runs; the last that saved is not the one that began last."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs"
    saved(folder / OLD, 100)
    saved(folder / MIDDLE, 200, LAST, BEST)
    saved(folder / NEW, 300)
    return folder


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("last", f"runs/{NEW}/last.ckpt"),
        ("dcgan-digits", f"runs/{NEW}/last.ckpt"),
        ("vae-digits", f"runs/{MIDDLE}/last.ckpt"),
        (OLD, f"runs/{OLD}/last.ckpt"),
        (f"runs/{OLD}", f"runs/{OLD}/last.ckpt"),
        (f"runs/{MIDDLE}/best.ckpt", f"runs/{MIDDLE}/best.ckpt"),
    ],
)
@pytest.mark.usefixtures("runs")
def test_a_name_stands_for_the_newest_run(given, found):
    assert str(named_checkpoint(given)) == found


def test_best_is_the_newest_runs_or_none(runs):
    with pytest.raises(UserError, match=r"newest run, runs/dcgan-digits/2026-01-01_00-00-00, has no best.ckpt.*last"):
        named_checkpoint("best")
    saved(runs / "sagan" / "run", 400, LAST, BEST)
    assert str(named_checkpoint("best")) == "runs/sagan/run/best.ckpt"


def test_a_file_or_folder_of_that_name_comes_first(runs):
    (runs.parent / "last").write_bytes(b"")
    assert str(named_checkpoint("last")) == "last"
    saved(runs.parent / "dcgan-digits", 1)
    assert str(named_checkpoint("dcgan-digits")) == "dcgan-digits/last.ckpt"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("dcgan-digit", "There is neither a checkpoint nor a run dcgan-digit: did you mean dcgan-digits?"),
        ("other.ckpt", "There is no checkpoint other.ckpt"),
        ("../runs", "There is no checkpoint ../runs"),
        ("nowhere", "There is no checkpoint nowhere"),
    ],
)
@pytest.mark.usefixtures("runs")
def test_what_is_not_there_is_refused(given, said):
    with pytest.raises(UserError) as caught:
        named_checkpoint(given)
    assert str(caught.value).startswith(said)


@pytest.mark.usefixtures("runs")
def test_a_run_that_has_saved_nothing_yet_is_told_so():
    Path("runs/vae-new/run").mkdir(parents=True)
    with pytest.raises(UserError, match="No run in runs/vae-new has saved a checkpoint yet"):
        named_checkpoint("vae-new")


def test_without_runs_last_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="There is no run in runs that checkpoint=last could stand for"):
        named_checkpoint("last")


@pytest.mark.usefixtures("runs")
def test_a_command_says_which_it_took(tmp_path, capsys):
    folder = tmp_path / "runs" / "vae-toy" / "run"
    folder.mkdir(parents=True)
    checkpoint(folder / LAST)
    sample.run("checkpoint=last", "n=2", "device=cpu")
    assert "checkpoint=last: runs/vae-toy/run/last.ckpt\n" in capsys.readouterr().out
    sample.run("checkpoint=vae-toy", "n=2", "device=cpu")
    assert "checkpoint=vae-toy: runs/vae-toy/run/last.ckpt\n" in capsys.readouterr().out
    sample.run("checkpoint=runs/vae-toy/run", "n=2", "device=cpu")
    assert "checkpoint=" not in capsys.readouterr().out
    with pytest.raises(UserError, match="did you mean vae-toy"):
        evaluate.run("checkpoint=vae-tox")
