"""Names of classes from a folder to the run, its checkpoint, its sheets and ``label=``."""

import sys

import numpy as np
import pytest
import torch
from calls import call, refused
from PIL import Image

import gan_lab
from gan_lab.evaluate import evaluate
from gan_lab.reconstruct import reconstruct
from gan_lab.sample import sample
from gan_lab.train import train

MOODS = ["2 (shy)", "10, happy"]
SMALL = ["data=folder", "data.size=8", "batch_size=4", "debug=smoke", "budget.images=8", "callbacks.fidelity=null"]


def faces(root, names, count=6):
    for shade, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((8, 8, 3), 40 * shade + number, np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a conditional model on two classes, whose names are hard on Hydra's grammar."""
    place = tmp_path_factory.mktemp("moods")
    root = faces(place / "faces", MOODS)
    narrow = ["model.encoder.widths=[4]", "model.decoder.widths=[4]"]
    command = ["model=vae", "conditional=true", *SMALL, *narrow, f"data.root={root}", f"run_dir={place}/run"]
    argv, sys.argv = sys.argv, ["gan_lab", *command]
    try:
        train()
    finally:
        sys.argv = argv
    return place / "run"


def written(path, monkeypatch, main, *arguments):
    call(monkeypatch, main, *arguments, f"output={path}")
    return path.read_bytes()


def test_a_class_is_asked_for_by_its_name(folder, tmp_path, monkeypatch, capsys):
    model = gan_lab.load(folder / "last.ckpt")
    assert model.class_names == ("2 (shy)", "10, happy")
    images = {
        label: written(tmp_path / f"{number}.png", monkeypatch, sample, f"checkpoint={folder}", "n=4", f"label={label}")
        for number, label in enumerate(("10, happy", "10, HAPPY", "1", "0"))
    }
    assert images["10, happy"] == images["10, HAPPY"] == images["1"] != images["0"]
    assert "did you mean 10, happy?" in refused(monkeypatch, capsys, sample, f"checkpoint={folder}", "label=10 hapy")
    keys = [f"checkpoint={folder}", "n=2", f"output={tmp_path}/made"]
    call(monkeypatch, reconstruct, *keys, "label=2 (shy)")
    assert "the classes are 2 (shy), 10, happy" in refused(monkeypatch, capsys, reconstruct, *keys, "label=glad")


def test_sheets_have_the_names_beside_their_rows(folder, tmp_path, monkeypatch):
    call(monkeypatch, sample, f"checkpoint={folder}", "n=8", f"output={tmp_path}/rows.png")
    for sheet in (folder / "samples.png", tmp_path / "rows.png"):
        assert (np.array(Image.open(sheet))[..., 0][:, :60] < 100).sum() > 50


def test_other_classes_are_found_when_the_model_is_measured(folder, tmp_path, monkeypatch, capsys):
    root = faces(tmp_path / "others", ["glad", "sad"])
    said = refused(monkeypatch, capsys, evaluate, f"checkpoint={folder}", f"root={root}")
    assert "trained on the classes 2 (shy), 10, happy, but the data have glad, sad" in said


def test_a_folder_without_classes_is_said_to_have_none(tmp_path, monkeypatch, capsys):
    faces(tmp_path / "faces", ["all"])
    said = refused(monkeypatch, capsys, train, "model=cgan", *SMALL, f"data.root={tmp_path}/faces")
    assert "has no classes: put the images of each class in a folder of its own" in said


def test_the_checkpoint_has_the_names(folder):
    kept = torch.load(folder / "last.ckpt", weights_only=True)
    assert kept["gan_lab"]["class_names"] == MOODS and kept["gan_lab"]["data"]["class_order"] == "natural"
