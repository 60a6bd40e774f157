"""The workspace as code: its sections, and that every panel shows what runs really log."""

import csv
import json
import re
import sys
from typing import ClassVar

import pytest
import torch
from cases import limited, small
from wandb_server import Server

from gan_lab import dashboard
from gan_lab.build import build
from gan_lab.configuration import compose, resolve, settle
from gan_lab.loggers import CSV
from gan_lab.loggers.showing import show_animation, show_image, show_table
from gan_lab.runtime import make_trainer

CASES = (["model=dcgan", "loss=wgan_gp"], ["model=gan", "data=gaussians"], ["model=cyclegan"])


class Noting(CSV):
    """Notes the names of what is no figure as well."""

    names: ClassVar[set[str]] = set()


for show in (show_image, show_animation, show_table):
    show.register(Noting, lambda logger, name, *_: logger.names.add(name))


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The names of all figures, and of all else, that three runs log."""
    figures = set()
    for case in CASES:
        folder = tmp_path_factory.mktemp("run")
        own = [] if "data=gaussians" in case else small(*case)
        cadence = [f"callbacks.{name}.every=8" for name in ("health", "throughput", "samples", "confusion", "fidelity")]
        given = [*case, *own, "debug=smoke", "batch_size=8", *cadence, *limited(24), f"run_dir={folder}", "trainer=cpu"]
        config = compose([*given, "runs=/nowhere", "logger=none", "callbacks.progress=null"])
        settle(config)
        plain = resolve(config)
        torch.manual_seed(0)
        trainer, _ = make_trainer(plain)
        trainer.loggers = [Noting(folder)]
        trainer.fit(build(plain["model"]), datamodule=build(plain["data"]))
        with (folder / "metrics.csv").open() as file:
            figures |= set(next(csv.reader(file)))
    return figures - {"images"}, Noting.names


def call(monkeypatch, capsys, *arguments):
    """The status and what is said on the error stream."""
    monkeypatch.setattr(sys, "argv", ["dashboard", *arguments])
    status = 0
    try:
        dashboard.main()
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().err


def test_every_panel_shows_what_runs_log_and_what_runs_log_is_shown(logged, tmp_path, monkeypatch, capsys):
    figures, pictures = logged
    assert call(monkeypatch, capsys, "project=mine", f"output={tmp_path}/w.json") == (0, "")
    told = json.loads((tmp_path / "w.json").read_text())
    assert (told["project"], told["name"]) == ("mine", "gan_lab")
    sections = {each["name"]: each["panels"] for each in told["spec"]["section"]["panelBankConfig"]["sections"]}
    assert list(sections) == ["losses", "fidelity", "pictures", "health", "system"]
    panels = [panel["config"] for section in sections.values() for panel in section]
    curves = [panel["metricRegex"] for panel in panels if "metricRegex" in panel]
    assert all(panel["xAxis"] == "images" for panel in panels if "metricRegex" in panel)
    assert not [regex for regex in curves if not any(re.search(regex, name) for name in figures)]
    missed = {name for name in figures if not any(re.search(regex, name) for regex in curves)}
    assert {name.rpartition("/")[2] for name in missed} <= {"samples", "real", *(
        f"{kind}_{way}" for kind in ("translated", "real", "floor") for way in ("a2b", "b2a"))}  # fmt: skip
    media = {key for panel in panels for key in panel.get("mediaKeys", [])}
    assert media == {"samples", "interpolation", "confusion"} == pictures - {"metrics"}
    assert '"metrics"' in json.dumps([p for p in sections["fidelity"] if "metricRegex" not in p["config"]])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["name=x"], "give project="),
        (["project=x", "runs"], "does not know runs"),
        (["project=x"], "there is no key"),
        (["project=x", "entity=me", "key"], "does not know key"),
    ],
)
def test_what_is_lacking_is_said_in_a_sentence(monkeypatch, capsys, tmp_path, arguments, said):
    away(monkeypatch, tmp_path)
    status, error = call(monkeypatch, capsys, *arguments)
    assert status == 2 and said in error and len(error.splitlines()) == 1


def away(monkeypatch, home):
    """No key, and no server but one that is asked for."""
    import wandb

    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    wandb.teardown()


def test_a_server_that_refuses_is_said_in_a_sentence(monkeypatch, capsys, tmp_path):
    away(monkeypatch, tmp_path)
    with Server() as server:
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        status, error = call(monkeypatch, capsys, "project=x", "entity=me")
    assert status == 2 and "W&B refused it" in error.splitlines()[-1]


def test_without_the_package_the_command_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert call(monkeypatch, capsys, "project=x", "output=unwritten.json") == (
        2, "gan_lab: Workspaces need wandb-workspaces: run pip install gan_lab[dashboard].\n")  # fmt: skip
