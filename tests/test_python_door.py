"""Training from Python: by the parts of a composed run, and from plain arguments with a plain Trainer."""

import doctest
import json

import hydra
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

import gan_lab
from gan_lab.cli import composition
from gan_lab.common import runs
from gan_lab.common.deprecation import RenamedWarning
from gan_lab.common.errors import UserError

TINY = ["model=dcgan", "data=fake", "data.channels=1", "data.size=16", "network.base=4", "network.critic_base=4"]
TINY += ["batch_size=4", "trainer=cpu", "logger=none"]
QUICK = ["callbacks.samples=null", "callbacks.fidelity=null"]
BARE = ["callbacks=none"]


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def test_it_trains_as_the_command_does(tmp_path, monkeypatch, capsys):
    from gan_lab.train import train

    arguments = [*TINY, *QUICK, "budget.images=12"]
    train.run(*arguments, f"run_dir={tmp_path}/command")
    model, data, trainer = gan_lab.compose("train", *arguments, f"run_dir={tmp_path}/python", "record=null")
    trainer.fit(model, datamodule=data)
    one, other = (weights(tmp_path / folder / "last.ckpt") for folder in ("command", "python"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    config, other = (json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("command", "python"))
    assert not runs.differing_keys(config, other)
    record, other = (json.loads((tmp_path / folder / "run.json").read_text()) for folder in ("command", "python"))
    assert record.keys() == other.keys() and record["state"] == other["state"] == "finished"
    torch.testing.assert_close(gan_lab.load(tmp_path / "python/last.ckpt").sample(2), model.eval().sample(2))


def test_parts_are_built_when_they_are_used_and_can_be_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = gan_lab.compose("train", *TINY, *BARE, "budget.images=8", "network.base=8")
    assert run.config["model"]["generator"]["base"] == 8 and type(run.config["model"]) is dict
    run.config["model"]["n_critic"] = 2
    run.trainer.fit(run.model, datamodule=run.data)
    assert run.model.n_critic == 2 and run.model.images_seen == 8
    assert run.model is run.model and run.trainer is run.trainer
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_cut_short_goes_on(tmp_path):
    arguments = [*TINY, *QUICK, f"runs={tmp_path}", "resume=auto"]
    first = gan_lab.compose("train", *arguments, "budget.images=16")
    first.trainer.callbacks.append(Break())
    with pytest.raises(RuntimeError, match="power cut"):
        first.trainer.fit(first.model, datamodule=first.data)
    (folder,) = (path.parent for path in tmp_path.rglob("run.json"))
    assert json.loads((folder / "run.json").read_text())["state"] == "failed"
    again = gan_lab.compose("train", *arguments, "budget.images=16")
    again.trainer.fit(again.model, datamodule=again.data)
    assert again.model.images_seen == 16 and again.trainer.default_root_dir == str(folder)
    assert json.loads((folder / "run.json").read_text())["state"] == "finished"


class Break(gan_lab.cli.composition.Callback):
    def on_train_batch_end(self, trainer, module, *_):
        if module.images_seen == 8:
            trainer.save_checkpoint(f"{trainer.default_root_dir}/last.ckpt")
            raise RuntimeError("power cut")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "batch_size=0"], "batch_size=0"),
        (["train", "model=cyclegan", "data=digits"], "two domains"),
        (["train", "+trainer.max_steps=5"], "max_steps"),
        (["train", "trainer.max_stepz=5"], "Could not override 'trainer.max_stepz'"),
        (["train", "model=dcgann"], "Could not find 'model/dcgann'"),
        (["train", "data=folder"], "data.root must be given"),
        (["sample", "checkpoint=x"], "give 'train' instead of 'sample'"),
    ],
)
def test_it_refuses_what_the_command_refuses(arguments, message):
    with pytest.raises(UserError, match=message):
        gan_lab.compose(*arguments)


def test_paths_and_old_names_are_understood(tmp_path):
    folder = tmp_path / "a, b (1)=c"
    run = gan_lab.compose("train", *TINY, f"run_dir={folder}")
    assert run.config["run_dir"] == str(folder)
    with pytest.warns(RenamedWarning) as warned:
        run = gan_lab.compose("train", "model=convlstm", "data=moving_digits", "model.given=7")
    assert run.config["model"]["context_frames"] == 7 and warned[0].filename == __file__


def test_it_works_within_a_program_that_uses_hydra(tmp_path):
    (tmp_path / "mine.yaml").write_text("a: 1\n")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert gan_lab.compose("train", *TINY).config["batch_size"] == 4
        assert hydra.compose("mine") == {"a": 1}
    assert not GlobalHydra.instance().is_initialized()


def test_the_example_runs(capsys):
    failed, tried = doctest.testmod(composition)
    assert not failed and tried
