"""Commands over a folder of images, split over jobs."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from gan_lab.cli.file_requests import each_job
from gan_lab.cli.sweeps.split import Ended
from gan_lab.common.errors import UserError
from gan_lab.inference.job_shares import JobShare, jobs_done
from gan_lab.inference.restoring import PhotoRestorer
from gan_lab.restore import restore


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def run(photos, output, *more):
    restore.run(f"input={photos}", f"output={output}", "device=cpu", *more)


@pytest.mark.parametrize(("count", "world"), [(1, 1), (1, 3), (4, 1), (3, 2), (9, 2)])
def test_each_item_belongs_to_one_process_of_one_job(count, world):
    items = "abcdefgh"
    taken = [each for n in range(count) for r in range(world) for each in JobShare(n + 1, count).of(items, r, world)]
    assert sorted(taken) == list(enumerate(items))


def test_jobs_make_together_what_one_makes_and_the_last_has_the_table(photos, tmp_path, capsys):
    run(photos, tmp_path / "whole")
    for number in (2, 1, 3):
        assert not (tmp_path / "split" / "jobs.csv").exists()
        run(photos, tmp_path / "split", "jobs=3", f"job={number}")
    said = capsys.readouterr().out
    assert "2 of 3 jobs are done." in said and "All jobs:" in said and "Restored 5 of 6 images" in said
    assert said.rstrip().endswith("1 left out")
    for number in range(5):
        whole, split = (tmp_path / each / f"{number}.png" for each in ("whole", "split"))
        assert whole.read_bytes() == split.read_bytes()
    with (tmp_path / "split" / "jobs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["job"] for row in rows] == ["1", "2", "3"] and sum(int(row["done"]) for row in rows) == 5
    assert [row["left out"] for row in rows].count("1") == 1


def test_an_interrupted_job_goes_on_and_is_not_taken_for_done(photos, tmp_path, capsys, monkeypatch):
    run(photos, tmp_path / "out", "jobs=2", "job=1")
    with monkeypatch.context() as patched:
        patched.setattr(PhotoRestorer, "__call__", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(photos, tmp_path / "out", "jobs=2", "job=2")
    run(photos, tmp_path / "out", "jobs=2", "job=1")
    assert "All jobs:" not in capsys.readouterr().out
    run(photos, tmp_path / "out", "jobs=2", "job=2")
    assert "All jobs:" in capsys.readouterr().out


def test_outcomes_of_other_work_are_passed_over(photos, tmp_path, capsys):
    run(photos, tmp_path / "out", "jobs=2", "job=1", "restorer=deartifact")
    run(photos, tmp_path / "out", "jobs=2", "job=2", "overwrite=true")
    assert "1 of 2 jobs are done." in capsys.readouterr().out


def test_more_jobs_than_images_leave_some_without_work(photos, tmp_path, capsys):
    run(photos / "0.png", tmp_path / "out", "jobs=2", "job=2")
    assert "Restored 0 of 0 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["jobs=3"], "jobs=3 needs -m, which starts them all, or job=1"),
        (["jobs=3", "job=4"], "job=4 is more than jobs=3"),
        (["jobs=3", "job=1", "before_after=true"], "before_after=true needs all images"),
        (["jobs=2", "job=1", "output=x.png"], "jobs= splits a folder, and output=x.png is one image"),
    ],
)
def test_what_does_not_go_together_is_said(photos, tmp_path, more, words):
    with pytest.raises(UserError, match=words):
        run(photos, tmp_path / "out", *more)


def test_a_share_of_damaged_images_alone_fails_no_job(photos, tmp_path, capsys):
    for number in range(1, 7):
        run(photos, tmp_path / "out", "jobs=6", f"job={number}")
    assert "All jobs:" in capsys.readouterr().out


def test_a_folder_of_damaged_images_is_said_by_the_last_job(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in "ab":
        (tmp_path / "photos" / f"{name}.png").write_bytes(b"no image")
    run(tmp_path / "photos", tmp_path / "out", "jobs=2", "job=1")
    with pytest.raises(UserError, match=r"No image of .* could be restored"):
        run(tmp_path / "photos", tmp_path / "out", "jobs=2", "job=2")


def test_a_multirun_begins_without_the_outcomes_of_an_earlier_one(photos, tmp_path):
    run(photos, tmp_path / "out", "jobs=2", "job=1")
    assert jobs_done(tmp_path / "out", 2) == {tmp_path / "out": 1}
    Ended().on_multirun_start(OmegaConf.create({"output": str(tmp_path / "out")}))
    assert jobs_done(tmp_path / "out", 2) == {}


def test_a_multirun_says_how_many_jobs_there_are():
    asked = ["-m", "jobs=3", "output=x"]
    assert [*each_job(asked)][3] == "job=range(1,4)" and each_job(asked[1:]) == asked[1:]
    assert each_job([*asked, "job=2"]) == [*asked, "job=2"]


def test_jobs_of_a_queue_leave_one_table(photos, tmp_path):
    """The local executor of submitit stands for SLURM's."""
    command = [sys.executable, "-m", "gan_lab.restore", "-m", "jobs=2", "hydra/launcher=submitit_local"]
    command += ["hydra.launcher.timeout_min=9", f"input={photos}", f"output={tmp_path / 'out'}", "device=cpu"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 jobs are done" in done.stdout and (tmp_path / "out" / "jobs.csv").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]
