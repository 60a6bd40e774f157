"""A run of one's own pictures: its scale is recorded and kept, and a dry run leaves nothing behind."""

import json
import logging
import tempfile

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.train import completed, train
from gan_lab.training.callbacks import estimate

TINY = [
    *("model=dcgan", "data=folder", "image_size=8", "suggested.base=4", "suggested.discriminator_base=4"),
    *("trainer=cpu", "precision=32-true", "logger=none", "callbacks.samples=null"),
]


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    caplog.set_level(logging.INFO)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def lines(caplog, *beginnings):
    return [record.message for record in caplog.records if record.message.startswith(beginnings)]


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


def test_the_scale_is_said_in_three_lines_recorded_and_kept(tmp_path, pictures, caplog):
    run = tmp_path / "run"
    plain = [*TINY, f"data.root={pictures}", "callbacks.fidelity=null"]
    train.run(*plain, f"run_dir={run}", "budget.images=64")
    assert len(lines(caplog, "Scale laptop", "  Networks: ", "  Length: ")) == 3
    config = json.loads((run / "config.json").read_text())
    assert (config["scale"]["name"], config["batch_size"]) == ("laptop", 16)
    assert "diff" in config["model"]["augment"] and config["model"]["g_optimizer"]["lr"] == 1e-3
    caplog.clear()
    train.run(f"resume={run}", "budget.images=96")
    again = json.loads((run / "config.json").read_text())
    assert again["budget"]["images"] == 96 and not lines(caplog, "Scale ")
    assert all(again[key] == config[key] for key in ("scale", "batch_size", "suggested", "data"))
    assert again["model"]["augment"] == config["model"]["augment"]
    train.run(f"resume={run}", "budget.images=128", "scale=laptop")
    with pytest.raises(UserError, match=r"cannot go on with .*scale.name=gpu instead of laptop"):
        train.run(f"resume={run}", "budget.images=160", "scale=gpu")


def test_resume_auto_finds_the_run(tmp_path, pictures, caplog):
    plain = [*TINY, f"data.root={pictures}", "callbacks.fidelity=null", f"runs={tmp_path / 'runs'}", "resume=auto"]
    train.run(*plain, "budget.images=64")
    record = next((tmp_path / "runs").rglob("run.json"))
    record.write_text(json.dumps(json.loads(record.read_text()) | {"state": "stopped"}))
    train.run(*plain, "budget.images=96")
    assert len([*(tmp_path / "runs").rglob("run.json")]) == 1 and lines(caplog, "Resuming from")


def test_a_run_of_an_earlier_version_goes_on_with_its_sizes(tmp_path, pictures):
    run = tmp_path / "run"
    train.run(*TINY, f"data.root={pictures}", f"run_dir={run}", "budget.images=64", "batch_size=8", "scale=paper",
              "callbacks.fidelity=null")  # fmt: skip
    config, record = (json.loads((run / f"{name}.json").read_text()) for name in ("config", "run"))
    for key in ("scale", "dry_run"):
        config.pop(key)
    record["overrides"] = [each for each in record["overrides"] if not each.startswith("scale=")]
    (run / "config.json").write_text(json.dumps(config))
    (run / "run.json").write_text(json.dumps(record))
    train.run(f"resume={run}", "budget.images=96")
    again = json.loads((run / "config.json").read_text())
    assert again["batch_size"] == 8 and again["scale"] == {"name": "paper"} and not again["model"]["augment"]
    with pytest.raises(UserError, match=r"scale.name=laptop instead of paper"):
        train.run(f"resume={run}", "budget.images=128", "scale=laptop")


def test_the_estimate_is_said_once_with_the_cost_of_the_metrics(tmp_path, pictures, caplog, monkeypatch):
    monkeypatch.setattr(estimate, "PROBED_FROM", 0.0)
    monkeypatch.setattr(estimate, "STEADY", 0.0)
    train.run(*TINY, f"data.root={pictures}", f"run_dir={tmp_path / 'run'}", "budget.images=480", "metrics=distance",
              "callbacks.fidelity.n=64")  # fmt: skip
    assert len(lines(caplog, "Estimate: ")) == 1


@pytest.mark.parametrize(
    "case",
    [
        ["model=dcgan", "data=fake", "data.size=8", "suggested.base=4", "suggested.discriminator_base=4"],
        ["model=cyclegan", "data=fake_unpaired", "data.size=24", "generator.filters=4", "discriminator.filters=4"],
        ["model=simvp", "data=fake_clips", "data.size=16", "model.network.hidden=16", "model.network.maps=8"],
    ],
    ids=lambda case: case[0],
)
def test_what_evaluations_cost_is_measured_for_every_kind_of_data(caplog, monkeypatch, case):
    found = []
    monkeypatch.setattr(estimate, "PROBED_FROM", 0.0)
    monkeypatch.setattr(estimate, "STEADY", 0.0)
    monkeypatch.setattr(estimate, "_probed", lambda _, seconds: found.append(seconds()) or found[-1])
    train.run(*case, "batch_size=4", "trainer=cpu", "precision=32-true", "dry_run=true", "budget.images=10000")
    assert len(found) == 1 and found[0] > 0


@pytest.mark.parametrize("key", ["--dry-run", "dry_run=true"])
def test_a_dry_run_says_what_a_run_takes_and_leaves_nothing(tmp_path, pictures, caplog, monkeypatch, key):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(estimate, "STEADY", 0.0)
    monkeypatch.chdir(tmp_path)
    removed = []
    monkeypatch.setattr("atexit.register", lambda remove, folder, **_: removed.append((remove, folder)))
    before = files(tmp_path)
    result = train.run(*completed([*TINY, f"data.root={pictures}", "metrics=distance", key]))
    assert result is None and len(removed) == 1
    for remove, folder in removed:
        remove(folder)
    assert files(tmp_path) == before
    said = lines(caplog, "Dry run: nothing was saved.", "Estimate: ", "A run would write to ")
    assert len(said) == 3 and "generator" in said[0] and "MiB each" in said[2]
    assert "runs/dcgan-folder/<date>_<time>" in said[2]


def test_a_dry_run_refuses_what_the_run_would(tmp_path, pictures):
    with pytest.raises(UserError, match="micro_batches"):
        train.run(*TINY, f"data.root={pictures}", "dry_run=true", "model.engine.micro_batches=7")
