"""Two CPU processes, one launch that goes through all models."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cases import CASES
from ddp_worker import EXACT, write_label_maps

WORKER = Path(__file__).with_name("ddp_worker.py")
pytestmark = pytest.mark.timeout(1200)  # the launch that goes through all models counts as the first test's


def launch(folder, devices):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(devices), "GROUP_RANK": "0",
              "LOCAL_WORLD_SIZE": str(devices), "TORCHELASTIC_RUN_ID": "test"} if devices > 1 else {}  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(folder), str(devices)],
            env={**os.environ, **shared, **({"RANK": str(rank), "LOCAL_RANK": str(rank)} if devices > 1 else {})},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(devices)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both ranks of the pair, then one process alone."""
    folder = tmp_path_factory.mktemp("ddp")
    write_label_maps(folder)
    for devices in (2, 1):
        for process in launch(folder, devices):
            output, _ = process.communicate(timeout=900)
            assert process.returncode == 0, output[-4000:]
    return folder


def state(folder, devices, rank, name):
    return torch.load(folder / f"{devices}-{rank}-{name}.pt", weights_only=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case))
def test_ranks_hold_the_same_parameters_and_buffers_live_and_averaged(folder, case):
    one, two = (state(folder, 2, rank, " ".join(case)) for rank in range(2))
    assert any(name.startswith("ema.") for name in one)
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


@pytest.mark.parametrize("part", EXACT)
def test_two_processes_train_as_one_with_the_joined_batch(folder, part):
    pair, alone = state(folder, 2, 0, f"exact {part}"), state(folder, 1, 0, f"exact {part}")
    for name in alone:
        torch.testing.assert_close(pair[name], alone[name], atol=5e-6, rtol=1e-6)  # some are sums over pixels
