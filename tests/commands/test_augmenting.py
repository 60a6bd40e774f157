"""The command augment: a labelled set of samples, chosen and listed."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import gan_lab
from gan_lab.augment import augment
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.train import train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A conditional and an unconditional GAN of a small set of dark and light images, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs")
    random = np.random.default_rng(0)
    for name, shade in (("dark", 60), ("light", 190)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(shade - 50, shade + 50, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    short = ["data=folder", f"data.root={folder / 'photos'}", "data.size=16", "batch_size=4", "budget.images=8"]
    short += ["trainer=cpu", "logger=none", "callbacks.fidelity=null", "callbacks.samples=null", "scale=paper"]
    short += ["model.generator.base=4", "model.discriminator.base=4"]
    train.run("model=cgan", f"run_dir={folder / 'cgan'}", *short)
    train.run("model=dcgan", f"run_dir={folder / 'dcgan'}", *short)
    return folder


def run(runs, output, *more, model="cgan"):
    augment.run(f"checkpoint={runs / model}", f"output={output}", "device=cpu", "batch_size=8", *more)


def test_a_balanced_set_is_written_and_each_file_can_be_drawn_again(runs, tmp_path, capsys):
    run(runs, tmp_path / "set", "per_class=5", "confidence=0", "seed=3")
    assert "dark: kept 5 of 8 samples" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert sorted(manifest["files"]) == sorted(
        str(path.relative_to(tmp_path / "set")) for path in (tmp_path / "set").rglob("*.png")
    )
    assert len(list((tmp_path / "set" / "light").iterdir())) == 5 and len(manifest["sha256"]) == 64
    model = gan_lab.load(runs / "cgan" / "last.ckpt")
    for file, row in [*manifest["files"].items()][::4]:
        again = to_uint8(model.sample(1, manifest["seed"], row["number"], label=row["label"]))[0]
        stored = torch.from_numpy(np.array(Image.open(tmp_path / "set" / file))).movedim(2, 0)
        assert (again.int() - stored.int()).abs().max() <= 1
        assert row["nearest"] >= manifest["nearest_allowed"]


def test_doubtful_samples_are_left_out(runs, tmp_path, capsys):
    run(runs, tmp_path / "set", "per_class=3", "confidence=1", "tries=2", "classes=[light]")
    assert "light: kept 0 of 6 samples (tries= or confidence= can change that)" in capsys.readouterr().out
    assert not list((tmp_path / "set").rglob("*.png")) and (tmp_path / "set" / "manifest.json").exists()


def test_what_cannot_be_augmented_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match="trained without labels"):
        run(runs, tmp_path / "set", model="dcgan")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UserError, match="has files already"):
        run(runs, tmp_path / "full")
    assert not (tmp_path / "set").exists()
