"""A new command is one file and one YAML: help, completion, refusal, devices and output come with the road."""

import os
import subprocess
import sys

import pytest
from PIL import Image
from translators import checkpoint as translator
from translators import node
from variational import SIDE, checkpoint

TOY = '''"""Averages samples: ``python average.py checkpoint=runs/…``."""

from collections.abc import Iterator
from dataclasses import dataclass

from gan_lab.cli.artifacts import Artifact, Message, Sheet
from gan_lab.cli.command import command
from gan_lab.cli.requests import ModelRequest
from gan_lab.common.bounds import PositiveInt
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import Samples
from gan_lab.common.images import to_uint8


@dataclass(frozen=True, kw_only=True)
class AverageRequest(ModelRequest):
    n: PositiveInt


@command(AverageRequest, needs=Samples, lacks="cannot sample", example="model=dcgan")
def average(session: Session, request: AverageRequest) -> Iterator[Artifact]:
    """Averages samples of a trained model."""
    samples = [session.model.sample(1, start=i) for i in session.track(range(request.n), "Sampling", request.n)]
    yield Sheet("average", to_uint8(sum(samples) / request.n)[0])
    yield Message(f"Averaged {request.n} samples")


if __name__ == "__main__":
    average()
'''
KEYS = """checkpoint: ???   # a file, or a run's folder
output: averages  # a folder, or the name of an image
n: 8              # samples to average
seed: 0
ema: true
device: cpu
trust: []
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    assert len([line for line in TOY.splitlines() if line.strip()]) <= 25
    (folder / "average.py").write_text(TOY)
    (folder / "average.yaml").write_text(KEYS)
    checkpoint(folder / "vae, (1).ckpt")
    translator(folder / "cyclegan.ckpt", node("cyclegan.CycleGAN"))
    return folder


def run(folder, *arguments, **variables):
    return subprocess.run([sys.executable, "average.py", *arguments], cwd=folder, capture_output=True, text=True,
                          timeout=120, env={**os.environ, **variables})  # fmt: skip


def test_it_works_on_a_path_of_any_name(folder):
    done = run(folder, "checkpoint=vae, (1).ckpt", "n=3", "output=2024")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Averaged 3 samples", "Wrote 2024/average.png"]
    assert Image.open(folder / "2024" / "average.png").size == (SIDE, SIDE)


def test_help_shows_the_keys_with_their_comments(folder):
    shown = run(folder, "--help").stdout
    assert "Averages samples of a trained model." in shown and "n: 8              # samples to average" in shown


@pytest.mark.parametrize("arguments", [["--help"], ["checkpoint=vae, (1).ckpt", "output=unread"]], ids=["help", "work"])
def test_a_reader_that_leaves_early_ends_it_quietly(folder, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "average.py", *arguments], cwd=folder, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_the_shell_completes_its_keys(folder):
    shown = run(folder, "-sc", "query=bash", COMP_LINE="python average.py out")
    assert "output=" in shown.stdout, shown.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["checkpoint=vae, (1).ckpt", "n=0"], "gan_lab: n=0 is not valid: give an integer of at least 1.\n"),
        ([], "gan_lab: checkpoint must be given: add checkpoint=… to the command.\n"),
        (
            ["checkpoint=cyclegan.ckpt"],
            "gan_lab: cyclegan.ckpt holds the model CycleGAN, which cannot sample: try python -m gan_lab.translate "
            "checkpoint=cyclegan.ckpt input=… output=….\n",
        ),
    ],
    ids=["value", "missing", "model"],
)
def test_what_cannot_work_is_refused_in_a_sentence(folder, arguments, said):
    done = run(folder, *arguments)
    assert (done.returncode, done.stderr.splitlines(keepends=True)[-1]) == (2, said)
