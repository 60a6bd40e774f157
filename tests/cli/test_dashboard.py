"""The workspace as code: its sections, and that every panel shows what runs really log."""

import csv
import json
import re
import sys
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from cases import limited, small
from wandb_server import Server

from gan_lab import dashboard
from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.training.loggers import CSV
from gan_lab.training.loggers.media import show_animation, show_image, show_table
from gan_lab.training.loggers.wandb_workspace import CURVES, save
from gan_lab.training.run_config import RunConfig
from gan_lab.training.trainer import make_trainer

CASES = (["model=dcgan", "loss=wgan_gp", "extractor=colour"], ["model=gan", "data=gaussians"], ["model=cyclegan"])


class Noting(CSV):
    """Notes the names of what is no figure as well, as often as it is shown."""

    names: ClassVar[list[str]] = []


for show in (show_image, show_animation, show_table):
    show.register(Noting, lambda logger, name, *_: logger.names.append(name))


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
        validate(config)
        plain = resolve(config)
        torch.manual_seed(0)
        trainer, _ = make_trainer(RunConfig.of(plain))
        trainer.loggers = [Noting(folder)]
        trainer.fit(instantiate(plain["model"]), datamodule=instantiate(plain["data"]))
        with (folder / "metrics.csv").open() as file:
            figures |= set(next(csv.reader(file)))
    return figures - {"images"}, Noting.names


def panel(title):
    (regex,) = [panels[title] for panels in CURVES.values() if title in panels]
    return lambda term: bool(re.search(regex, f"train/generator/{term}"))


def test_all_terms_are_losses_but_those_with_panels_of_their_own():
    others = panel("Penalties and other terms")
    own = "adversarial adversarial_a grad_norm accuracy accuracy_b real real_a fake fake_b"
    assert not [term for term in own.split() if others(term)]
    users = (
        "feature_matching reconstruction r1 gradient_penalty realism fakery accurate adversary grad a r info cycle_a"
    )
    assert all(others(term) for term in users.split())
    assert panel("Discriminator: mean logits")("fake_b") and not panel("Discriminator: mean logits")("realism")
    assert not re.search(r"\(\?", "".join(CURVES["losses"].values()))  # RE2 knows no lookahead


def test_the_table_of_figures_is_shown_once_a_run(logged):
    assert logged[1].count("metrics") == len(CASES)


def call(monkeypatch, capsys, *arguments):
    """The status and what is said on the error stream."""
    monkeypatch.setattr(sys, "argv", ["dashboard", *arguments])
    status = 0
    try:
        dashboard.dashboard()
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().err


def test_every_panel_shows_what_runs_log_and_what_runs_log_is_shown(logged, tmp_path, monkeypatch, capsys):
    figures, pictures = logged
    assert call(monkeypatch, capsys, "project=mine", f"output={tmp_path}/w.json") == (0, "")
    told = json.loads((tmp_path / "w.json").read_text())
    assert (told["project"], told["name"]) == ("mine", "gan_lab")
    sections = {each["name"]: each["panels"] for each in told["spec"]["section"]["panelBankConfig"]["sections"]}
    assert list(sections) == ["losses", "fidelity", "images", "health", "system"]
    panels = [panel["config"] for section in sections.values() for panel in section]
    curves = [panel["metricRegex"] for panel in panels if "metricRegex" in panel]
    assert all(panel["xAxis"] == "images" for panel in panels if "metricRegex" in panel)
    assert not [regex for regex in curves if not any(re.search(regex, name) for name in figures)]
    missed = {name for name in figures if not any(re.search(regex, name) for regex in curves)}
    assert {name.rpartition("/")[2] for name in missed} <= {"samples", "real", *(
        f"{kind}_{way}" for kind in ("translated", "real", "floor") for way in ("a2b", "b2a"))}  # fmt: skip
    media = {key for panel in panels for key in panel.get("mediaKeys", [])}
    assert media == {"samples", "interpolation", "confusion"} == set(pictures) - {"metrics"}
    assert '"metrics"' in json.dumps([p for p in sections["fidelity"] if "metricRegex" not in p["config"]])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["name=x"], "give project="),
        (["project=x", "runs"], "runs is not a key"),
        (["project=x"], "there is no key"),
        (["project=x", "entity=me", "key"], "key is not a key"),
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


def test_a_refusal_without_words_is_told_by_its_kind(monkeypatch):
    monkeypatch.setattr("gan_lab.training.loggers.wandb_workspace.missing_requirement", lambda seconds: None)
    monkeypatch.setattr(
        "gan_lab.training.loggers.wandb_workspace.workspace",
        lambda *_: SimpleNamespace(save=lambda: (_ for _ in ()).throw(TimeoutError())),
    )
    with pytest.raises(UserError, match=r"W&B refused it: TimeoutError\.$"):
        save("mine", "me", "x")


def test_without_the_package_the_command_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert call(monkeypatch, capsys, "project=x", "output=unwritten.json") == (
        2, "gan_lab: Workspaces need wandb-workspaces: run pip install gan_lab[dashboard].\n")  # fmt: skip
