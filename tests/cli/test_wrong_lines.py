"""Wrong command lines of every command: one sentence, status 2, nothing left behind, none over five seconds."""

import shlex
import sys
import time
from pathlib import Path

import pytest
from lightning.pytorch import Trainer
from PIL import Image
from translators import checkpoint as translator
from translators import node
from variational import checkpoint

from gan_lab.cli.command import COMMANDS, command_named
from gan_lab.cli.errors import report_user_errors
from gan_lab.cli.requests import words_field

TABLE = Path(__file__).with_name("wrong_lines.txt")
LINES = [line.split(" → ") for line in TABLE.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
"""The command line, and what the sentence begins with."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two checkpoints, pictures, a run, and a file that is none of these."""
    folder = tmp_path_factory.mktemp("wrong")
    checkpoint(folder / "vae.ckpt")
    translator(folder / "cyc.ckpt", node("cyclegan.CycleGAN"))
    (folder / "photos").mkdir()
    Image.new("RGB", (32, 32), (90, 3, 4)).save(folder / "photos" / "a.png")
    (folder / "note.txt").write_text("hello")
    (folder / "good.json").write_text("{}")
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text('{"state": "finished"}')
    (folder / "run" / "config.json").write_text('{"name": "dcgan-digits"}')
    return folder


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def perform(command, arguments, line):
    """Runs a command line; most of them as Python does, which composes once, where Hydra's main function does twice."""
    through_hydra = any(each.startswith(("-", "hydra.")) for each in arguments) or LINES.index(line) % 8 == 0
    if through_hydra or words_field(command.request):
        command()
    report_user_errors(command.run)(*arguments)


def test_the_table_has_lines_of_every_command():
    assert len(LINES) >= 150 and {line.split()[0] for line, _ in LINES} == {*COMMANDS}


@pytest.mark.parametrize(("line", "said"), LINES, ids=[line for line, _ in LINES])
def test_a_wrong_line_is_refused_in_a_sentence(line, said, folder, monkeypatch, capsys):
    name, *arguments = shlex.split(line)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["gan_lab", *arguments])
    monkeypatch.setattr(Trainer, "fit", lambda *_, **__: pytest.fail("it trains"))
    before, began = contents(folder), time.process_time()
    with pytest.raises(SystemExit) as end:
        perform(command_named(name), arguments, [line, said])
    assert time.process_time() - began < 5
    lines = capsys.readouterr().err.splitlines()
    assert end.value.code == 2 and len(lines) == 1, "\n".join(lines)
    assert lines[0].startswith(f"gan_lab: {said}") and lines[0].endswith((".", "?"))
    assert contents(folder) == before
