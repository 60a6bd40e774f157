"""Checkpoints of every earlier format load for ever, and give what they gave when they were written."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest
import torch
from cases import CASES, NARROW, limited, plain
from fitting import fit
from outputs import outputs_of, summary

import gan_lab
from gan_lab.common import runs

ARCHIVES = sorted((Path(__file__).parent / "old_checkpoints").glob("format*.tar.xz"))


def contents(archive):
    with tarfile.open(archive) as opened:
        names = [name.removesuffix(".json") for name in opened.getnames() if name.endswith(".json")]
    return [(archive, name) for name in names]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The archives, unpacked."""
    folder = tmp_path_factory.mktemp("old")
    for archive in ARCHIVES:
        with tarfile.open(archive) as opened:
            opened.extractall(folder / archive.name, filter="data")
    return folder


CHECKPOINTS = [entry for archive in ARCHIVES for entry in contents(archive)]


@pytest.mark.parametrize(("archive", "case"), CHECKPOINTS, ids=lambda value: getattr(value, "name", value))
def test_it_loads_and_gives_what_it_gave(archive, case, folder):
    told = json.loads((folder / archive.name / f"{case}.json").read_text())["outputs"]
    found = {
        name: summary(value) for name, value in outputs_of(gan_lab.load(folder / archive.name / f"{case}.ckpt")).items()
    }
    assert found.keys() == told.keys() and found
    for name, value in told.items():
        assert found[name]["shape"] == value["shape"], name
        deviation = value["values"][1]
        assert found[name]["values"] == pytest.approx(value["values"], rel=1e-3, abs=1e-3 * deviation), name


def run_of(archive, case, folder, runs, **facts):
    """A run folder as the version of the archive left it."""
    run = runs / case.replace("=", "-") / "2026-01-01_00-00-00"
    run.mkdir(parents=True)
    told = json.loads((folder / archive.name / f"{case}.json").read_text())["configuration"]
    (run / "config.json").write_text(json.dumps({**told, "run_dir": str(run), "runs": str(runs)}))
    (run / "run.json").write_text(json.dumps({"state": "stopped", **facts}))
    shutil.copyfile(folder / archive.name / f"{case}.ckpt", run / "last.ckpt")
    return run


LATER = (
    "denoise",
    "deartifact",
    "srresnet",
    "srgan",
    "esrgan",
    "inpaint",
    "inpaint_small",
    "fast_style",
    "adain",
    "cartoon",
    "colorize",
    "context_encoder",
    "stylegan2",
    "biggan",
    "biggan_deep",
    "fastgan",
    "projected_gan",
    "progressive",
    "inverter",
    "spade",
    "gaugan",
    "pix2pixhd",
)
"""Methods that no earlier version had."""
KEPT = {name for _, name in CHECKPOINTS}
EARLIER = [" ".join(case) for case in CASES if case[0].removeprefix("model=") not in LATER]


@pytest.mark.parametrize("case", [case for case in EARLIER if case in KEPT][::9])
def test_a_run_of_an_earlier_version_is_found_again(case, folder, tmp_path):
    for archive in ARCHIVES:
        run = run_of(archive, case, folder, tmp_path / archive.name)
        now = plain(case.split(), tmp_path / "new", *limited(4), "precision=32-true", *NARROW.get(case, []))
        now["runs"] = str(tmp_path / archive.name)
        assert runs.find_resumable(tmp_path / archive.name, now)[0] == run
        assert runs.find_resumable(tmp_path / archive.name, {**now, "seed": 5})[2] == ["seed"]
        (run / "run.json").write_text(json.dumps({"state": "finished"}))
        assert runs.find_finished(tmp_path / archive.name, now) == run
        assert runs.find_finished(tmp_path / archive.name, {**now, "model": {**now["model"], "seed": 5}}) is None


def test_a_run_of_an_earlier_format_goes_on(folder, tmp_path):
    configuration = plain(["model=dcgan"], tmp_path, *limited(12))
    _, model = fit(configuration, resume=folder / ARCHIVES[0].name / "model=dcgan.ckpt")
    assert (model.iteration, model.images_seen) == (3, 12)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
