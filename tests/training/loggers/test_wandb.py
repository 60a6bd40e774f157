"""Weights & Biases: complete offline records, no delay of a run, and names, groups and tags of runs."""

import json
import os
import socket
import struct
import time
from pathlib import Path

import hydra
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.loggers import WandbLogger
from omegaconf import open_dict
from wandb_server import Server

import gan_lab.cli.config.resolvers  # noqa: F401 (registers them)
from gan_lab.cli.config.compose import compose
from gan_lab.cli.config.hydra_versions import version_arguments
from gan_lab.cli.config.paths import add_searchpath, home
from gan_lab.common.images import save_animation
from gan_lab.common.runs import run_title
from gan_lab.training.loggers import WandB, log_animation, log_checkpoint, log_image, log_table

SLACK = 20
"""Extra seconds for a busy machine; a run that waits for W&B waits for a minute or more."""

IMAGE = torch.zeros(3, 4, 5, dtype=torch.uint8)


@pytest.fixture
def wandb_home(tmp_path, monkeypatch):
    """A machine without traces of W&B: no key, no settings, a new home folder."""
    import wandb

    for name in [name for name in os.environ if name.startswith("WANDB_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": tmp_path / "home",
        "NETRC": tmp_path / "home" / "netrc",
        "WANDB_SILENT": "true",
    }.items():
        monkeypatch.setenv(name, str(value))
    wandb.teardown()
    yield tmp_path / "home"
    wandb.teardown()
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ERROR_REPORTING"):
        os.environ.pop(name, None)


def wandb_teardown() -> None:
    """Waits for what the process would wait for at its end."""
    import wandb

    wandb.teardown()


def use(logger: WandB) -> str:
    """Uses a logger as a run does; returns the W&B run's id."""
    logger.log_hyperparams({"seed": 1, "model": {"lr": 0.1}})
    logger.log_metrics({"train/generator/adversarial": 1.0}, step=64)
    log_image([logger], "samples", IMAGE, step=64)
    run_id = logger.experiment.id
    logger.finalize("success")
    return run_id


def offline_runs(folder: Path) -> list[Path]:
    return list((folder / "wandb").glob("offline-run-*/*.wandb"))


def records(path: Path) -> list:
    """The records that `wandb sync` reads: blocks of 32 KiB, each part with its length and kind."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, found, parts, at = path.read_bytes(), [], b"", 7
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if at % 32768 > 32768 - 7:
            at += -at % 32768
        length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last part
            found.append(Record.FromString(parts))
            parts = b""
    assert not parts
    return found


def test_wandb_offline_stays_in_the_run_folder_and_resumes_one_run(wandb_home, tmp_path, monkeypatch, recwarn):
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "run"
    checkpoint = folder / "best.ckpt"
    first = WandB(folder, log_model=True)
    assert isinstance(first, WandbLogger)
    folder.mkdir()
    checkpoint.write_text("weights")
    log_checkpoint([first], checkpoint, "best")
    assert use(first) == use(WandB(folder)) == (folder / "wandb_id").read_text()
    other = WandB(tmp_path / "other", log_model=True)
    log_checkpoint([other], checkpoint, "best")
    assert use(other) != (folder / "wandb_id").read_text()
    assert not {"WANDB_CACHE_DIR", "WANDB_DATA_DIR"} & os.environ.keys()
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "other", "home"}
    assert not [path for path in wandb_home.rglob("*") if path.is_file()]
    assert not [w for w in recwarn if "Weights & Biases" in str(w.message)]
    for place in (folder, tmp_path / "other"):
        (staged,) = [path for path in (place / "wandb" / "data").rglob("*") if path.is_file()]
        assert staged.read_text() == "weights"


def test_places_that_a_user_gives_wandb_stay(wandb_home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "mine"))
    use(WandB(tmp_path / "run"))
    assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "mine") and "WANDB_CACHE_DIR" not in os.environ


def test_what_wandb_would_sync_is_whole(wandb_home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "last.ckpt").write_text("weights")
    logger = WandB(tmp_path / "run", group="a sweep", tags=["dcgan", None, "dcgan", "digits"], log_model=True)
    save_animation(tmp_path / "walk.gif", torch.stack([IMAGE, IMAGE + 99]))
    log_animation([logger], "interpolation", tmp_path / "walk.gif", 32)
    log_table([logger], "metrics", ["metric", "value"], [["fd_grey", 2.5], ["fid", None]], 32)
    log_checkpoint([logger], tmp_path / "last.ckpt", "last")
    use(logger)
    wandb_teardown()
    (path,) = offline_runs(tmp_path / "run")
    found = records(path)
    run = next(record.run for record in found if record.HasField("run"))
    assert (run.run_group, list(run.tags), run.resumed) == ("a sweep", ["dcgan", "digits"], False)
    config = {u.key: json.loads(u.value_json) for r in found for u in r.config.update}
    assert config["seed"] == 1 and config["model"] == {"lr": 0.1}
    rows = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in found
        if record.HasField("history")
    ]
    told = {name: (row["images"], value) for row in rows for name, value in row.items() if name != "images"}
    assert told["train/generator/adversarial"] == (64, 1.0)
    for name, kind in {"interpolation": "video-file", "metrics": "table-file", "samples": "image-file"}.items():
        assert told[f"{name}/_type"][1] == kind
        assert (path.parent / "files" / told[f"{name}/path"][1]).is_file()
    assert told["interpolation/path"][0] == told["metrics/path"][0] == 32
    globs = [r.metric for r in found if r.HasField("metric") and r.metric.glob_name == "*"]
    assert globs and globs[-1].step_metric == "images"
    kept = [record.artifact for record in found if record.HasField("artifact") and record.artifact.type == "model"]
    assert [sorted(artifact.aliases) for artifact in kept] == [["last", "latest"]]


def warned(caught) -> list[str]:
    return [str(w.message) for w in caught if "Weights & Biases" in str(w.message)]


def test_wandb_without_a_key_warns_once_and_records_offline(wandb_home, tmp_path):
    with pytest.warns(UserWarning, match="no key") as caught:
        use(WandB(tmp_path / "run"))
    assert len(warned(caught)) == 1
    assert offline_runs(tmp_path / "run")


@pytest.mark.parametrize("server", ["none", "silent", "silent to what is posted"])
def test_wandb_whose_server_does_not_answer_warns_once_and_records_offline(wandb_home, tmp_path, monkeypatch, server):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with socket.create_server(("127.0.0.1", 0)) as listening, Server(speaks=False) as serving:
        port = {"none": 9, "silent": listening.getsockname()[1]}.get(server, serving.server_port)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.warns(UserWarning, match="not answer") as caught:
            use(WandB(tmp_path / "run", start_seconds=2, end_seconds=2))
        wandb_teardown()
        assert time.monotonic() - began < 2 + 2 + SLACK
    assert len(warned(caught)) == 1
    assert records(offline_runs(tmp_path / "run")[0])


def test_wandb_whose_server_falls_silent_ends_in_time_with_one_warning(wandb_home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    (tmp_path / "last.ckpt").write_text("weights")
    with Server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        logger = WandB(tmp_path / "run", log_model=True, start_seconds=20, end_seconds=4)
        logger.log_hyperparams({"seed": 1})
        server.speaks = False
        began = time.monotonic()
        with pytest.warns(UserWarning) as caught:
            logger.log_metrics({"loss": 1.0}, 64)
            log_checkpoint([logger], tmp_path / "last.ckpt", "best")
            log_checkpoint([logger], tmp_path / "last.ckpt", "last")
            logger.finalize("success")
        wandb_teardown()
        assert time.monotonic() - began < 4 + SLACK
    assert len(warned(caught)) == 1
    (path,) = (tmp_path / "run" / "wandb").glob("run-*/*.wandb")
    assert any(item.key == "loss" or "loss" in item.nested_key for r in records(path) for item in r.history.item)


def test_a_run_goes_on_when_wandbs_service_is_lost(wandb_home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = WandB(tmp_path / "run")
    monkeypatch.setattr(type(logger.experiment), "log", lambda *_: (_ for _ in ()).throw(ConnectionResetError("lost")))
    with pytest.warns(UserWarning, match="ConnectionResetError: lost") as caught:
        use(logger)
        logger.log_metrics({"loss": 1.0}, 128)
    assert len(warned(caught)) == 1


def test_wandb_with_a_key_that_is_refused_records_offline(wandb_home, tmp_path, monkeypatch):
    with Server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "no key")
        with pytest.warns(UserWarning, match="refused"):
            use(WandB(tmp_path / "run"))
    assert offline_runs(tmp_path / "run")


def test_wandb_disabled_writes_no_run(wandb_home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    use(WandB(tmp_path / "run"))
    assert not offline_runs(tmp_path / "run")


@pytest.fixture
def commanded():
    """Composes as a command line would, Hydra's own part included."""

    def command(*overrides, sweep=None):
        add_searchpath(home("experiments"))
        with hydra.initialize_config_dir(str(home("conf")), **version_arguments()):
            config = hydra.compose("train", ["logger=wandb", *overrides], return_hydra_config=True)
        with open_dict(config):
            config.hydra.mode = "MULTIRUN" if sweep else "RUN"
            config.hydra.sweep.dir = sweep or "unused"
        HydraConfig.instance().set_config(config)
        return config.logger.wandb

    yield command
    HydraConfig.instance().cfg = None


def test_wandb_groups_and_tags_by_recipe_and_sweep(commanded, monkeypatch):
    for name in ("WANDB_RUN_GROUP", "WANDB_TAGS"):
        monkeypatch.delenv(name, raising=False)
    plain = commanded()
    assert (plain.group, list(plain.tags)) == (None, ["dcgan", "digits", "nonsaturating"])
    recipe = commanded("recipe=ring_r1")
    assert (recipe.group, list(recipe.tags)) == ("ring_r1", ["gan", "ring", "r1", "ring_r1"])
    assert commanded("recipe=ring_r1", sweep="runs/sweeps/today").group == "today"
    own = commanded("recipe=ring_r1", "logger.wandb.group=mine", "logger.wandb.tags=[a]", sweep="runs/sweeps/today")
    assert (own.group, list(own.tags)) == ("mine", ["a"])
    monkeypatch.setenv("WANDB_RUN_GROUP", "ours")
    monkeypatch.setenv("WANDB_TAGS", "b,c")
    shell = commanded("recipe=ring_r1")
    assert (shell.group, shell.tags) == ("ours", "b,c")
    assert WandB("run", tags=shell.tags)._wandb_init["tags"] == ["b", "c"]


def test_wandb_calls_a_run_as_reports_do(commanded, monkeypatch, tmp_path):
    monkeypatch.delenv("WANDB_NAME", raising=False)
    folder = tmp_path / "dcgan-digits" / "2026-11-22_08-06-57"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"name": "dcgan-digits"}')
    assert commanded(f"run_dir={folder}").name == run_title(folder) == "dcgan-digits 2026-11-22_08-06-57"
    assert commanded("run_dir=my-dcgan-digits").name == "my-dcgan-digits"
    assert commanded().name == "dcgan-digits"  # its folder is not made yet
    assert commanded(f"run_dir={folder}", "logger.wandb.name=mine").name == "mine"
    monkeypatch.setenv("WANDB_NAME", "ours")
    assert commanded(f"run_dir={folder}").name == "ours"


def test_outside_a_command_line_there_is_no_group():
    composed = compose(["logger=wandb"]).logger.wandb
    assert (composed.group, list(composed.tags)) == (None, ["dcgan", "digits"])
