"""The current folder is the last place where modules are looked for, and only for those that are meant."""

import subprocess
import sys

import pytest

from gan_lab.cli.command import make_ready
from gan_lab.common.import_path import add_current_folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != ""])
    (tmp_path / "mine.py").touch()
    (tmp_path / "package").mkdir()
    return str(tmp_path)


@pytest.mark.parametrize(
    ("modules", "added"),
    [
        (None, True),
        (["mine"], True),
        (["package.part"], True),
        (["other", "mine"], True),
        (["other"], False),
        ([], False),
    ],
)
def test_the_current_folder_is_added_where_a_module_of_it_is_named(here, modules, added):
    before = [*sys.path]
    add_current_folder(modules)
    add_current_folder(modules)
    assert sys.path == [*before, *[here] * added]


@pytest.mark.parametrize(
    ("command", "arguments", "added"),
    [
        ("train", [], True),
        ("evaluate", ["checkpoint=last.ckpt"], False),
        ("evaluate", ["+metrics.mine._target_=mine.Metric"], True),
        ("evaluate", ["+metrics.mine={_target_: mine.Metric, _partial_: true}"], True),
        ("sample", ["checkpoint=mine.ckpt", "+x._target_=other.Mine"], False),
    ],
)
def test_a_command_finds_the_modules_that_its_line_names(here, command, arguments, added):
    make_ready(command, arguments)
    assert (here in sys.path) == added and sys.path[0] != here


@pytest.mark.parametrize("command", ["sample", "train", "evaluate"])
def test_a_file_in_the_current_folder_takes_the_place_of_no_module(command, tmp_path):
    for name in ("typing", "torch", "PIL", "timm", "safetensors"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a foreign file was run')")
    line = [sys.executable, "-m", f"gan_lab.{command}", "--help" if command == "train" else "checkpoint=no.ckpt"]
    run = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert "foreign" not in run.stderr, run.stderr
    assert "There is no checkpoint" in run.stderr or command == "train"
