"""What is kept on disk is whole or not there, whenever its writer dies."""

import subprocess
import sys
import time
import warnings

import pytest
import torch

from gan_lab.evaluation.cache import cached_apart, find, keep

SCRIPT = """
import sys, torch
from gan_lab.evaluation.cache import keep
for number in range(1_000_000):
    keep(["key"], {"x": torch.full((6_000_000,), float(number))}, sys.argv[1])
    if number == 0:
        print("written", flush=True)
"""


def test_a_killed_writer_leaves_the_last_whole_state(tmp_path):
    for pause in (0.0, 0.013, 0.031):
        with subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline().strip() == b"written"
            time.sleep(pause)
            writer.kill()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = find(["key"], tmp_path)
        assert found["x"].shape == (6_000_000,) and len(found["x"].unique()) == 1


def test_another_key_is_another_state(tmp_path):
    keep(["key", 1], {"x": torch.ones(3)}, tmp_path)
    assert find(["key", 2], tmp_path) is None
    assert torch.equal(find(["key", 1], tmp_path)["x"], torch.ones(3))


def test_without_communication_it_is_computed_once_or_wherever_it_cannot_be_kept(tmp_path):
    calls = []

    def compute():
        calls.append(len(calls))
        return {"x": torch.full((2,), float(calls[-1]))}

    def found(folder):
        return cached_apart(["key"], compute, folder)["x"][0].item()

    assert [found(tmp_path), found(tmp_path), found(tmp_path / "other")] == [0, 0, 1]
    assert [path.suffix for path in (tmp_path / "statistics").iterdir()] == [".safetensors"], "the lock is removed"
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="could not be cached"):
        assert found(tmp_path / "file") == 2
