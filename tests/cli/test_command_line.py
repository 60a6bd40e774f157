"""What the command line answers: questions, the shell's TAB, and what is mistyped."""

import logging
import subprocess
import sys

import pytest
import yaml

from gan_lab.cli import app as cli
from gan_lab.train import train


def call(monkeypatch, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["gan_lab", *arguments])
    return main()


def test_the_whole_configuration_can_be_shown():
    command = [sys.executable, "-m", "gan_lab.train", "--cfg", "job", "--resolve"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert yaml.safe_load(shown.stdout)["model"]["d_optimizer"]["betas"] == [0.5, 0.999], shown.stderr


@pytest.fixture
def logging_as_before():
    """Hydra's ``--info`` sets handlers up, which would write to a stream that is closed after the test."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("--help", None, "dragan, hinge, lsgan"),
        ("--info", None, "Installed Hydra Plugins"),
        ("loss=wgna", 2, "did you mean wgan?"),
        ("los=wgan", 2, "did you mean loss?"),
        ("data.szie=8", 2, "did you mean data.size?"),
    ],
)
def test_hydra_answers_as_its_users_know_it(asked, status, said, monkeypatch, capsys):
    try:
        call(monkeypatch, train, asked)
    except SystemExit as end:
        assert (end.code or None) == status
    else:
        assert status is None
    told = capsys.readouterr()
    assert said in (told.err if status else told.out)


def test_the_console_script_passes_on_and_completes(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gan-lab", "train", "--help"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert "fashion_mnist" in capsys.readouterr().out
    monkeypatch.setenv("COMP_LINE", "gan-lab train model=dc")
    monkeypatch.setattr(sys, "argv", ["gan-lab", "-sc", "query=bash"])
    cli.main()
    assert "model=dcgan" in capsys.readouterr().out
