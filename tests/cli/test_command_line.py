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
        ("--help", None, "dragan, hinge, lazy_r1, lsgan"),
        ("--info", None, "Installed Hydra Plugins"),
        ("loss=wgna", 2, "did you mean wgan?"),
        ("los=wgan", 2, "did you mean loss=wgan?"),
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


LINES = [
    *(f"{name} checkpont=x" for name in ("sample", "reconstruct", "predict", "translate", "evaluate")),
    *(f"{name} x outptu=y" for name in ("compare", "report")),
    *(
        "cache claer=all",
        "cache clear=most",
        "fetch incepton",
        "pack format=tar",
        "dashboard projct=x",
        "sample checkpoint=x n=0",
        "sample checkpoint=nowhere",
    ),
    *(
        "evaluate real=x",
        "evaluate checkpoint=nowhere",
        "train model=dcgann",
        "train dta.size=3",
        "train +bacth_size=3",
    ),
    *("train batch_size=maybe", "train -m seed=1,2 batch_size=maybe", "train trainer.max_steps=3"),
]
SCRIPT = """
import sys
from gan_lab.cli.command import command_named
for line in sys.argv[1:]:
    name, *sys.argv[1:] = line.split()
    try:
        command_named(name)()
    except SystemExit as end:
        assert end.code == 2, line
    else:
        raise AssertionError(line)
    assert not {"torch", "lightning"} & {*sys.modules}, line
"""


def test_wrong_keys_and_values_are_refused_before_torch_is_imported():
    done = subprocess.run([sys.executable, "-c", SCRIPT, *LINES], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and len(done.stderr.splitlines()) == len(LINES), done.stderr
