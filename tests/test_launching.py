"""Processes that torchrun or SLURM starts, and one that dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

TINY = ["data=digits", "data.size=8", "batch_size=64", "network.base=4", "network.critic_base=4", "debug=smoke",
        "trainer.accelerator=cpu", "callbacks.samples=null"]  # fmt: skip
LONG = ["budget.images=10000000", "callbacks.fidelity=null"]
TRAIN = [sys.executable, "-m", "gan_lab.train"]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def runs_in(folder):
    return [path.parent for path in folder.glob("*/*/run.json")]


def state(run):
    return json.loads((run / "run.json").read_text())


def wait_for(something, seconds=120):
    end = time.monotonic() + seconds
    while not something():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_processes_of_torchrun_share_one_run_and_agree_on_which_to_go_on_with(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}"]
    command = [*torchrun, "-m", "gan_lab.train", *TINY, "trainer.devices=2", f"runs={tmp_path}"]
    for _ in range(2):
        done = subprocess.run([*command, "resume=auto"], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        (run,) = runs_in(tmp_path)
        assert state(run)["state"] == "finished" and state(run)["images_seen"] == 512
        (run / "run.json").write_text(json.dumps({**state(run), "state": "stopped"}))
    assert "Resuming from" in done.stderr


class Nodes:
    """Two SLURM nodes of one task each, on this machine; what ``scontrol`` is asked is written down."""

    def __init__(self, folder):
        self.folder, self.asked = folder, folder / "asked"
        (folder / "bin").mkdir()
        scontrol = folder / "bin" / "scontrol"
        scontrol.write_text(f'#!/bin/sh\necho "$@" >> {self.asked}\n')
        scontrol.chmod(0o755)
        self.port = free_port()

    def start(self, *arguments, restarts=0):
        shared = {"SLURM_JOB_ID": "4077", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NNODES": "2",
                  "SLURM_NTASKS_PER_NODE": "1", "SLURM_LOCALID": "0", "SLURM_NODELIST": "localhost",
                  "SLURM_RESTART_COUNT": str(restarts), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": self.port,
                  "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}  # fmt: skip
        command = [*TRAIN, *TINY, "trainer=slurm", f"runs={self.folder / 'runs'}", *arguments]
        return [
            subprocess.Popen(
                command, env={**os.environ, **shared, "SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank)},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for rank in range(2)
        ]  # fmt: skip


def test_two_nodes_share_one_run_and_a_job_whose_time_is_up_goes_on_after_its_requeue(tmp_path):
    nodes = Nodes(tmp_path)
    both = nodes.start("budget.images=12800", "callbacks.fidelity=null")
    wait_for(lambda: list((tmp_path / "runs").glob("*/*/last.ckpt")) or any(p.poll() is not None for p in both))
    both[1].send_signal(signal.SIGUSR1)
    told = [process.communicate(timeout=120)[0] for process in both]
    (run,) = runs_in(tmp_path / "runs")
    assert state(run)["state"] == "stopped", told
    assert nodes.asked.read_text() == "requeue 4077\n"
    assert json.loads((run / "config.json").read_text())["trainer"]["num_nodes"] == 2
    again = nodes.start("budget.images=12800", "callbacks.fidelity=null", restarts=1)
    told = [process.communicate(timeout=240)[0] for process in again]
    assert [process.returncode for process in again] == [0, 0], told
    assert runs_in(tmp_path / "runs") == [run] and state(run)["images_seen"] == 12800


@pytest.mark.parametrize("who", ["first", "second"])
def test_a_rank_that_dies_takes_the_other_down(tmp_path, who):
    first = psutil.Popen([*TRAIN, *TINY, *LONG, "trainer.devices=2", f"runs={tmp_path}"], stderr=subprocess.DEVNULL)
    wait_for(lambda: list(tmp_path.glob("*/*/last.ckpt")) or first.poll() is not None)
    (second,) = (each for each in first.children() if "gan_lab.train" in " ".join(each.cmdline()))
    began = time.monotonic()
    (first if who == "first" else second).kill()
    assert first.wait(timeout=30) != 0
    wait_for(lambda: not second.is_running() or second.status() == psutil.STATUS_ZOMBIE, 30)
    assert time.monotonic() - began < 30
    assert Path(runs_in(tmp_path)[0] / "last.ckpt").stat().st_size
