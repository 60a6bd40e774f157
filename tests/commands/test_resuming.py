"""``resume=<run>`` as a user gives it: its own configuration goes on, and what does not fit leaves it as it is."""

import json
import logging
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import gan_lab
from gan_lab.common import runs
from gan_lab.common.errors import UserError
from gan_lab.reconstruct import reconstruct
from gan_lab.train import train
from gan_lab.training import resume
from gan_lab.training.run_config import RunConfig

OWN = ["model=vae", "data.size=8", "seed=5", "batch_size=8", "model.encoder.widths=[8]", "model.decoder.widths=[8]",
       "trainer=cpu", "callbacks.samples=null", "callbacks.fidelity=null", "logger=none",
       "budget.images=32"]  # fmt: skip


def photos(folder, count=30):
    folder.mkdir(parents=True)
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run on a folder of pictures, and the pictures."""
    root = tmp_path_factory.mktemp("trained")
    pictures = photos(root / "photos")
    train.run(*OWN, "data=folder", f"data.root={pictures}", f"run_dir={root / 'run'}")
    return root / "run", pictures


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run, which may be changed."""
    return shutil.copytree(trained[0], tmp_path / "run")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}


def stored(folder):
    return torch.load(folder / runs.LAST, weights_only=True)


@pytest.fixture(autouse=True)
def told(caplog):
    caplog.set_level(logging.INFO)


def test_alone_it_goes_on_with_the_runs_own_configuration(run, caplog):
    config = json.loads((run / "config.json").read_text())
    train.run(f"resume={run}")
    again = json.loads((run / "config.json").read_text())
    assert {**again, "resume": None, "run_dir": None} == {**config, "resume": None, "run_dir": None} | {
        "callbacks": again["callbacks"]  # they name the folder, which is a copy
    }
    assert "with changes" not in caplog.text
    assert json.loads((run / "run.json").read_text())["state"] == "finished"


def test_a_continued_run_equals_one_that_was_never_stopped(trained, run, tmp_path):
    whole = [each for each in OWN if not each.startswith("budget")]
    train.run(*whole, "data=folder", f"data.root={trained[1]}", f"run_dir={tmp_path / 'whole'}", "budget.images=64")
    train.run(f"resume={run}", "budget.images=64")
    one, other = (stored(folder) for folder in (tmp_path / "whole", run))
    for key in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(one[key], other[key], rtol=0, atol=0)


def test_changes_are_told_key_by_key_and_have_their_effect(run, caplog):
    train.run(f"resume={run}", "model.optimizer.lr=0.5", "budget.images=40", "log_every=7")
    said = caplog.text
    for line in ("model.optimizer.lr: 0.001 → 0.5", "budget.images: 32 → 40", "log_every: 50 → 7"):
        assert f"  {line}\n" in said
    assert "model.engine.budget" not in said, "what follows from a change is not told again"
    (group,) = stored(run)["optimizer_states"][0]["param_groups"]
    assert group["lr"] == 0.5 and stored(run)["counters"]["images_seen"] == 40
    before, after = (json.loads((run / name).read_text()) for name in ("config.1.json", "config.json"))
    assert [each["model"]["optimizer"]["lr"] for each in (before, after)] == [0.001, 0.5] and after["seed"] == 5
    train.run(f"resume={run / runs.LAST}", "budget.images=48")
    assert json.loads((run / "config.json").read_text())["model"]["optimizer"]["lr"] == 0.5, "it is the run's own now"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["seed=6"], "seed=6 instead of 5, because its random numbers"),
        (["batch_size=4"], "batch_size=4 instead of 8, because the order of its images"),
        (["model.encoder.widths=[16]"], r"model.encoder.widths=\[16\] instead of \[8\], because the method"),
        (["likelihood=gaussian"], "with likelihood=gaussian, which sets model.*because the method, its networks and"),
        (["log_every=7", "image_size=16", "data.size=${{image_size}}"], "data.size=16 instead of 8"),
        (["model=dcgan"], "is a run of model=vae and cannot go on as model=dcgan"),
        (["data=fake"], "is a run of data=folder and cannot go on as data=fake"),
        (["data.channels=1"], "data.channels=1 instead of 3, .*because its data"),
        (["init_from={run}"], "because its weights are its own"),
        (["resume={run}/nothing.ckpt"], "There is no checkpoint"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_touched(run, arguments, said):
    before = contents(run)
    with pytest.raises(UserError, match=said):
        train.run(f"resume={run}", *(each.format(run=run) for each in arguments))
    assert contents(run) == before and sorted(path.name for path in run.parent.iterdir()) == ["run"]


def test_a_refusal_is_one_sentence(run, monkeypatch, capsys):
    for wrong in ("seed=6", "model=dcgan"):
        monkeypatch.setattr(sys, "argv", ["gan_lab", f"resume={run}", wrong])
        with pytest.raises(SystemExit) as end:
            train()
        assert end.value.code == 2
        assert capsys.readouterr().err.startswith("gan_lab: ")


@pytest.fixture
def two_folders(tmp_path, monkeypatch):
    """A run that was started in one folder with a relative path, and another folder, which is the current one."""
    photos(tmp_path / "start" / "photos")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "start")
    train.run(*OWN, "data=folder", "data.root=photos", "run_dir=run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "start" / "run"


def test_a_run_goes_on_from_another_folder(two_folders, caplog):
    caplog.clear()
    train.run(f"resume={two_folders}", "budget.images=40")
    config = json.loads((two_folders / "config.json").read_text())
    assert config["data"]["root"] == str(two_folders.parent / "photos")
    assert "data.root" not in caplog.text and "  budget.images: 32 → 40\n" in caplog.text
    train.run(f"resume={two_folders}", "budget.images=48")  # what is recorded now is meant here
    assert stored(two_folders)["counters"]["images_seen"] == 48 and not list(two_folders.parents[1].glob("else*/*"))


def test_commands_find_the_data_of_a_checkpoint_from_another_folder(two_folders):
    written = reconstruct.run(f"checkpoint={two_folders}", "n=4", "output=.", "device=cpu")
    assert written is None and list(two_folders.parents[1].glob("elsewhere/*.png"))


def test_a_path_that_is_typed_is_meant_here(two_folders, monkeypatch):
    photos(two_folders.parents[1] / "elsewhere" / "others", 30)
    train.run(f"resume={two_folders}", "data.root=others", "budget.images=40")  # equal pictures
    assert json.loads((two_folders / "config.json").read_text())["data"]["root"] == "others"


def test_a_run_that_goes_on_looks_at_its_data_once(run, caplog):
    train.run(f"resume={run}", "budget.images=40")
    lines = [each.message for each in caplog.records]
    assert len({*lines}) == len(lines) and not any("used at" in line for line in lines)


def test_other_data_are_refused_by_the_key_that_names_them(tmp_path):
    for number, classes in enumerate((2, 3)):
        for name in range(classes):
            photos(tmp_path / str(number) / str(name), 20)
    own = [
        "model=dcgan",
        "conditional=true",
        *OWN[1:4],
        *OWN[6:],
        "model.generator.base=4",
        "model.discriminator.base=4",
    ]
    train.run(*own, "data=folder", f"data.root={tmp_path / '0'}", f"run_dir={tmp_path / 'run'}")
    with pytest.raises(UserError, match=r"data\.root=.*/1'?, which sets data.classes=3 instead of 2.*because its data"):
        train.run(f"resume={tmp_path / 'run'}", f"data.root={tmp_path / '1'}")


def test_data_that_changed_are_refused_unless_that_is_accepted(trained, run, tmp_path):
    pictures = shutil.copytree(trained[1], tmp_path / "photos")
    train.run(f"resume={run}", f"data.root={pictures}", "budget.images=40")  # the same pictures elsewhere
    (pictures / "029.png").unlink()
    with pytest.raises(UserError, match=r"data\.root=.*photos has other data than .* \(train: 27 examples, now 26\)"):
        train.run(f"resume={trained[0]}", f"data.root={pictures}")
    before = contents(run)
    with pytest.raises(UserError, match=r"\(train: 27 examples, now 26\).*accept_changed_data=true"):
        train.run(f"resume={run}")
    assert contents(run) == before
    train.run(f"resume={run}", "accept_changed_data=true", "budget.images=56")
    assert stored(run)["gan_lab"]["identities"]["train"]["count"] == 26


def test_the_search_for_an_unfinished_run_knows_the_data_again_too(tmp_path):
    command = [*OWN, "data=folder", f"data.root={photos(tmp_path / 'photos')}", f"runs={tmp_path / 'runs'}"]
    train.run(*command)
    (run,) = (path.parent for path in (tmp_path / "runs").rglob(runs.LAST))
    (run / "run.json").write_text('{"state": "stopped"}')
    train.run(*command, "resume=auto")
    assert json.loads((run / "run.json").read_text())["state"] == "finished"
    (run / "run.json").write_text('{"state": "stopped"}')
    photos(tmp_path / "photos" / "more", 1)
    before = contents(run)
    with pytest.raises(UserError, match="The data have changed"):
        train.run(*command, "resume=auto")
    assert contents(run) == before and len(list((tmp_path / "runs").glob("*/*"))) == 1


def stop(run):
    (run / "run.json").write_text('{"state": "stopped"}')


def test_the_search_goes_on_with_what_may_change_and_with_nothing_else(trained, tmp_path, caplog):
    command = [*OWN, "data=folder", f"data.root={trained[1]}", f"runs={tmp_path / 'runs'}"]
    train.run(*command)
    (run,) = (path.parent for path in (tmp_path / "runs").rglob(runs.LAST))
    stop(run)
    train.run(*command, "resume=auto", "budget.images=40", "model.optimizer.lr=0.5")
    assert "  budget.images: 32 → 40\n" in caplog.text and "  model.optimizer.lr: 0.001 → 0.5\n" in caplog.text
    assert stored(run)["counters"]["images_seen"] == 40 and len(list((tmp_path / "runs").glob("*/*"))) == 1
    stop(run)
    caplog.clear()
    train.run(*command, "resume=auto", "seed=6", "budget.images=48")
    assert f"starting a new one. The nearest unfinished one, {run}, differs in: seed.\n" in caplog.text
    assert stored(run)["counters"]["images_seen"] == 40 and len(list((tmp_path / "runs").glob("*/*"))) == 2


def test_the_search_knows_other_data_of_the_same_size(trained, run, tmp_path):
    stop(run)
    others = photos(tmp_path / "others", 20)
    command = [*OWN, "data=folder", f"runs={run}", "resume=auto", "budget.images=40"]
    train.run(*command, f"data.root={others}")
    assert stored(run)["counters"]["images_seen"] == 32
    train.run(*command, f"data.root={shutil.copytree(trained[1], tmp_path / 'same')}")
    assert stored(run)["counters"]["images_seen"] == 40


@pytest.mark.parametrize(
    ("state", "arguments", "said"),
    [
        ("finished", [], "run holds a finished run, which resume=auto leaves as it is: give another run_dir"),
        ("stopped", ["seed=6"], "run cannot go on with seed=6 instead of 5"),
        ("stopped", ["resume=null"], "run holds a run already: add resume="),
    ],
)
def test_a_folder_that_holds_a_run_is_refused_before_the_data_are_read(trained, run, caplog, state, arguments, said):
    (run / "run.json").write_text(json.dumps({"state": state}))
    before = contents(run)
    with pytest.raises(UserError, match=said):
        train.run(*OWN, "data=folder", f"data.root={trained[1]}", f"run_dir={run}", "resume=auto", *arguments)
    assert not any("train: 27" in each.message for each in caplog.records) and contents(run) == before


def test_a_job_of_a_sweep_goes_on_with_its_very_own_run_alone(trained, run):
    stop(run)
    composed = gan_lab.compose("train", *OWN, "data=folder", f"data.root={trained[1]}", f"runs={run}", "log_every=7")
    job = RunConfig.of(composed.config).resuming_itself()
    assert resume.choose_run_dir(job)[1] is None
    assert resume.choose_run_dir(replace(job, exact=False))[1] == run / runs.LAST


def test_a_run_that_was_changed_in_python_keeps_what_was_changed(trained, tmp_path):
    composed = gan_lab.compose("train", *OWN, "data=folder", f"data.root={trained[1]}", f"run_dir={tmp_path / 'run'}")
    composed.config["model"]["optimizer"]["lr"] = 0.25
    composed.trainer.fit(composed.model, datamodule=composed.data)
    again = gan_lab.compose("train", f"resume={tmp_path / 'run'}", "budget.images=40")
    again.trainer.fit(again.model, datamodule=again.data)
    assert again.model.images_seen == 40 and again.config["model"]["optimizer"]["lr"] == 0.25


def test_a_checkpoint_outside_a_run_goes_on_in_a_new_folder(run, tmp_path):
    (tmp_path / "downloads").mkdir()
    checkpoint = shutil.copy(run / runs.LAST, tmp_path / "downloads" / "good.ckpt")
    train.run(f"resume={checkpoint}", "budget.images=40", "callbacks=none", f"runs={tmp_path / 'new'}", "trainer=cpu")
    assert [path.name for path in checkpoint.parent.iterdir()] == ["good.ckpt"]
    (config,) = (json.loads(path.read_text()) for path in (tmp_path / "new").rglob("config.json"))
    assert config["model"]["_target_"] == "gan_lab.models.vae.VAE" and config["seed"] == 5


def test_weights_that_do_not_fit_are_refused(run):
    content = stored(run)
    name = next(iter(content["state_dict"]))
    content["state_dict"][name] = content["state_dict"][name][:1]
    torch.save(content, run / runs.LAST)
    before = contents(run)
    with pytest.raises(UserError, match=rf"weights of .* do not fit this model \({name} is 1"):
        train.run(f"resume={run}")
    assert contents(run) == before


@pytest.mark.parametrize("damaged", ["{bad", "[1]", ""])
def test_a_damaged_configuration_is_not_replaced_by_the_defaults(run, damaged):
    (run / "config.json").write_text(damaged)
    before = contents(run)
    with pytest.raises(
        UserError, match=r"config\.json is damaged, .* put back a copy of the file, or start .*init_from="
    ):
        train.run(f"resume={run}", "budget.images=48")
    assert contents(run) == before
