"""An encoder for a trained generator, from training to editing, without the generator's own checkpoint."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import gan_lab
from gan_lab.common.errors import UserError
from gan_lab.edit import edit
from gan_lab.train import train

SHORT = ["data=fake", "data.channels=3", "batch_size=4", "trainer=cpu", "logger=none"]
SHORT += ["callbacks.fidelity=null", "callbacks.samples=null"]
NARROW = [f"model.generator.{key}" for key in ("base=64", "most=8", "style=6", "mapping_layers=1")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of an inverter, and the state of its generator, of which the checkpoint is gone."""
    place = tmp_path_factory.mktemp("runs")
    generator, folder = place / "a generator, of 2", place / "inverter"
    more = ["model.prior.dim=4", "data.size=16", "budget.images=8", f"run_dir={generator}"]
    train.run("model=stylegan2", *NARROW, *more, *SHORT)
    state = gan_lab.load(generator).state_dict()
    encoder = ["model.encoder.base=64", "model.encoder.most=8"]
    train.run("model=inverter", *encoder, f"generator_from={generator}", "budget.images=8", f"run_dir={folder}", *SHORT)
    shutil.rmtree(generator)
    return folder, state


def of_generator(model):
    return model.generator.state_dict()


def test_an_inverter_goes_on_and_edits_without_its_generators_checkpoint(run, tmp_path):
    folder, state = run
    before = gan_lab.load(folder)
    train.run(f"resume={folder}", "budget.images=16")
    after = gan_lab.load(folder)
    assert after.images_seen == 16 and type(after).__name__ == "StyleInverter"
    for model in (before, after):
        assert all(torch.equal(value, state[name]) for name, value in of_generator(model).items())
    assert not torch.equal(before.encoder.base.weight, after.encoder.base.weight)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / "photo.png")
    edit.run(f"checkpoint={folder}", f"input={tmp_path / 'photo.png'}", f"output={tmp_path / 'out'}", "steps=0")
    assert json.loads((tmp_path / "out" / "edits.json").read_text())["inversions"]


def test_another_generator_is_refused_when_a_run_goes_on(run, tmp_path):
    folder, _ = run
    with pytest.raises(UserError, match="because the generator is a part of it by now: leave"):
        shutil.copy(folder / "last.ckpt", tmp_path / "other.ckpt")
        train.run(f"resume={folder}", f"generator_from={tmp_path / 'other.ckpt'}")


def test_a_checkpoint_that_names_what_it_may_not_is_no_generator(run, tmp_path):
    checkpoint = torch.load(run[0] / "last.ckpt", weights_only=True)
    checkpoint["gan_lab"]["model"]["generator"]["prior"] = {"_target_": "os.system", "command": "true"}
    torch.save(checkpoint, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match=r"os\.system"):
        gan_lab.compose("train", "model=inverter", f"generator_from={tmp_path / 'evil.ckpt'}", *SHORT)
