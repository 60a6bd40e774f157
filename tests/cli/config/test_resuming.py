"""The configuration of a run that is resumed: its own, and what else the command line says."""

import json

import pytest

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.going_on import complete, go_on
from gan_lab.cli.config.resuming import (
    check_targets,
    composed_from,
    leaves,
    nested,
    own_overrides,
    recorded_overrides,
    with_own,
    with_own_overrides,
)
from gan_lab.common.errors import UserError
from gan_lab.training.run_config import RUN_DIR


def run(folder, config=None, **info):
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"state": "stopped", **info}))
    (folder / "config.json").write_text(json.dumps(config or {}))
    return folder


def test_a_runs_own_overrides_come_before_those_of_the_command_line(tmp_path):
    folder = run(tmp_path / "it's (1)", overrides=["model=vae", "seed=3", "+callbacks.x=1", "~callbacks.samples"])
    typed = [f"resume={folder}", "seed=3", "budget.images=10"]
    completed = with_own_overrides(typed)
    assert completed == ["model=vae", "+callbacks.x=1", "~callbacks.samples", *typed]
    assert with_own_overrides(completed) == completed, "further processes complete the same line again"
    (folder / "last.ckpt").touch()
    quoted = "resume='" + f"{folder}/last.ckpt".replace("'", "\\'") + "'"
    assert with_own_overrides([quoted])[0] == "model=vae"


@pytest.mark.parametrize("arguments", [["seed=1"], ["resume=auto"], ["resume=false"], ["resume=null"]])
def test_without_a_run_to_resume_the_command_line_stays(arguments):
    assert with_own_overrides(arguments) == arguments


def test_the_jobs_of_a_sweep_have_their_own_configuration(tmp_path):
    arguments = ["-m", f"resume={run(tmp_path, overrides=['model=vae'])}", "seed=1,2"]
    assert with_own_overrides(arguments) == arguments


def test_an_earlier_versions_command_line_is_read_with_the_paths_that_it_left_out(tmp_path):
    command = "python -m gan_lab.train data=folder data.root=… 'data.name=my photos'"
    folder = run(tmp_path, {"data": {"root": "/photos"}}, command=command)
    assert own_overrides(folder) == ["data=folder", "data.root=/photos", "data.name=my photos"]
    assert own_overrides(run(tmp_path / "other", command="gan_lab.compose")) is None
    assert own_overrides(tmp_path / "nothing") is None


def test_relative_paths_and_the_folder_of_downloads_are_those_of_the_folder_where_it_was_started(tmp_path, monkeypatch):
    start, here = tmp_path / "start", tmp_path / "here"
    here.mkdir()
    overrides = ["data.root='photos (1)'", "data.a=${data_dir}/a", "+data.b=null", "init_from=/x", "name=photos"]
    folder = run(tmp_path / "run", {"data_dir": "data"}, overrides=overrides, started_in=str(start))
    monkeypatch.chdir(here)
    expected = [f"data_dir={start}/data", f"data.root={start}/photos (1)", *overrides[1:]]
    assert own_overrides(folder) == expected
    start.mkdir()
    monkeypatch.chdir(start)
    assert own_overrides(folder) == overrides


def test_another_method_is_refused_before_anything_is_composed(tmp_path):
    folder = run(tmp_path / "a", {"method": "vae"}, overrides=["model.beta=2"])
    assert with_own_overrides([f"resume={folder}", "model=vae"])
    with pytest.raises(UserError, match="is a run of model=vae and cannot go on as model=dcgan"):
        with_own_overrides([f"resume={folder}", "model=dcgan"])


def test_where_and_how_a_run_was_started_is_not_kept():
    assert recorded_overrides(["seed=1", "resume=auto", "run_dir=x", "++resume=x"]) == ["seed=1"]


BASE = {"seed": 0, "budget": {"images": 1}, "model": {"lr": 1.0, "seed": 0, "norm": None}, "run_dir": RUN_DIR,
        "trainer": {"devices": 1}, "new_key": 1, "logger": {"folder": RUN_DIR}}  # fmt: skip


@pytest.mark.parametrize(
    ("new", "own", "expected"),
    [
        ({}, {}, {}),
        ({("seed",): 2, ("model", "seed"): 2}, {}, {("seed",): 2, ("model", "seed"): 2}),
        ({("budget", "images"): 5}, {("model", "lr"): 0.5}, {("budget", "images"): 5, ("model", "lr"): 0.5}),
        ({("model", "lr"): 0.1}, {("model", "lr"): 0.5}, {("model", "lr"): 0.1}),
        ({}, {("trainer", "devices"): 4}, {}),
        ({}, {("model", "norm"): "batch"}, {("model", "norm"): "batch"}),
        ({}, {("logger", "folder"): "runs/a", ("run_dir",): "runs/a"}, {}),
    ],
)
def test_the_recorded_values_hold_except_where_the_command_line_changed_them(new, own, expected):
    base = dict(leaves(BASE))
    recorded = {key: value for key, value in base.items() if key != ("new_key",)} | own
    assert with_own(nested(base | new), BASE, nested(recorded)) == nested(base | expected)


def test_what_is_typed_holds_even_if_it_is_the_default():
    own = BASE | {"budget": {"images": 7}}
    assert with_own(BASE, BASE, own)["budget"] == {"images": 7}
    assert with_own(BASE, BASE, own, ["budget.images"])["budget"] == {"images": 1}


def test_what_is_typed_reaches_what_is_interpolated_from_it(tmp_path):
    """The run had another interval than its overrides compose now, for a scale or an earlier version set it."""
    overrides = ["data=digits", "model=vae"]
    composed = compose(overrides)
    assert composed.log_every == composed.model.engine.log_every
    own = resolve(composed)
    own["log_every"] = own["model"]["engine"]["log_every"] = 7
    folder = run(tmp_path / "a", own, overrides=overrides, started_in=str(tmp_path))
    (folder / "last.ckpt").touch()
    lines = {7: [], composed.log_every: [f"log_every={composed.log_every}"], 9: ["log_every=9"]}
    for expected, typed in lines.items():
        line = [*overrides, *typed, f"resume={folder}"]
        complete(config := compose(line))
        with composed_from(line):
            go_on(config)
        assert config.model.engine.log_every == config.log_every == expected


def test_what_a_run_did_without_is_not_added():
    own = {"model": {"lr": 1.0}, "logger": {}}
    assert with_own(BASE, BASE, own)["model"] == {"lr": 1.0}
    assert with_own(BASE, BASE, {"seed": 0})["model"] == BASE["model"], "of a checkpoint that knows nothing of it"


def test_a_value_takes_the_place_of_what_lies_below_it():
    assert nested({("a",): None, ("a", "b"): 1, ("c", "d"): 2}) == {"a": None, "c": {"d": 2}}


@pytest.mark.parametrize(
    "name",
    [
        "my_methods.MyGAN",
        "gan_lab.models.vae.VAE",
        "gan_lab.data.presets.folder",
        "torch.optim.Adam",
        "lightning.pytorch.Trainer",
        "timm.create_model",
    ],
)
def test_a_runs_configuration_may_name_parts_and_the_users_own_classes(name, tmp_path):
    check_targets(run(tmp_path) / "last.ckpt", [name])
    if name == "my_methods.MyGAN":
        with pytest.raises(UserError, match=r"names my_methods\.MyGAN"):  # a checkpoint that someone sent
            check_targets(tmp_path / "elsewhere" / "last.ckpt", [name])


@pytest.mark.parametrize(
    "name",
    [
        "pathlib.Path",
        "gan_lab.common.runs.read_json",
        "torch.manual_seed",
        "my._hidden.F",
        "gan_lab.data.reading.files.Files",
        "omegaconf.OmegaConf",
        "torch.nn.utils.skip_init",
    ],
)
def test_a_strangers_run_cannot_name_anything_else(name, tmp_path):
    with pytest.raises(UserError, match=f"names {name}.*on the command line"):
        check_targets(run(tmp_path) / "last.ckpt", ["torch.optim.Adam", name])
