"""Processes that torchrun or SLURM starts, one that dies, and those that sample and measure together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from together import everything, refuse
from translators import checkpoint, node

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.scale import forget_scales, use_scale
from gan_lab.common import launch as launching
from gan_lab.common.errors import UserError
from gan_lab.common.found_files import files_below
from gan_lab.common.launch import on_every_device
from gan_lab.train import train

TINY = ["data=digits", "data.size=8", "batch_size=64", "model.generator.base=4", "model.discriminator.base=4",
        "debug=smoke", "trainer.accelerator=cpu", "callbacks.samples=null", "callbacks.fidelity=null"]  # fmt: skip
LONG = "budget.images=10000000"
TRAIN = [sys.executable, "-m", "gan_lab.train"]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def state(run):
    return json.loads((run / "run.json").read_text())


def wait_for(something, seconds=120):
    end = time.monotonic() + seconds
    while not something():
        assert time.monotonic() < end
        time.sleep(0.1)


def stopped(runs, *overrides):
    """A run that was stopped, as several processes would have left it: one alone made it."""
    run = runs / "one" / "run"
    train.run(*TINY, f"runs={runs}", f"run_dir={run}")
    config = compose(given := [*TINY, LONG, *overrides, f"runs={runs}", f"run_dir={run}"])
    validate(config)
    use_scale(config, given)
    forget_scales(config)
    (run / "config.json").write_text(json.dumps(resolve(config)))
    (run / "run.json").write_text(json.dumps({**state(run), "state": "stopped"}))
    return run


def test_nodes_of_torchrun_agree_on_the_run_to_go_on_with(tmp_path):
    """Two agents with node ranks of their own, and nothing said of devices."""
    run, port = stopped(tmp_path, "trainer.devices=1", "trainer.num_nodes=2"), free_port()
    before = (run / "last.ckpt").stat().st_mtime
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1",
             "--master_addr=127.0.0.1", f"--master_port={port}"]  # fmt: skip
    command = ["-m", "gan_lab.train", *TINY, LONG, f"runs={tmp_path}", "resume=auto"]
    agents = [
        subprocess.Popen([*agent, f"--node_rank={rank}", *command], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    wait_for(lambda: (run / "last.ckpt").stat().st_mtime > before or any(a.poll() is not None for a in agents))
    for each in agents:
        each.send_signal(signal.SIGTERM)
    told = [each.communicate(timeout=120)[1] for each in agents]
    assert f"Resuming from {run / 'last.ckpt'}" in told[0]
    assert list(tmp_path.glob("*/*")) == [run] and state(run)["state"] == "stopped", told
    assert state(run)["images_seen"] > 512


class Nodes:
    """Two SLURM nodes of one task each, on this machine; what ``scontrol`` is asked is written down."""

    def __init__(self, folder):
        self.folder, self.asked = folder, folder / "asked"
        (folder / "bin").mkdir()
        scontrol = folder / "bin" / "scontrol"
        scontrol.write_text(f'#!/bin/sh\necho "$@" >> {self.asked}\n')
        scontrol.chmod(0o755)

    def start(self, *arguments, restarts=0):
        shared = {"SLURM_JOB_ID": "4077", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NNODES": "2",
                  "SLURM_NTASKS_PER_NODE": "1", "SLURM_LOCALID": "0", "SLURM_NODELIST": "localhost",
                  "SLURM_RESTART_COUNT": str(restarts), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(),
                  "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}  # fmt: skip
        command = [*TRAIN, *TINY, "trainer=slurm", f"runs={self.folder / 'runs'}", *arguments]
        return [
            subprocess.Popen(
                command, env={**os.environ, **shared, "SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank)},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for rank in range(2)
        ]  # fmt: skip


def test_two_nodes_go_on_after_a_requeue_and_wait_for_the_next_when_their_time_is_up(tmp_path):
    nodes, run = (
        Nodes(tmp_path),
        stopped(tmp_path / "runs", "trainer=slurm", "trainer.num_nodes=2", "trainer.devices=1"),
    )
    both = nodes.start(LONG, restarts=1)
    before = (run / "last.ckpt").stat().st_mtime
    wait_for(lambda: (run / "last.ckpt").stat().st_mtime > before or any(p.poll() is not None for p in both))
    both[1].send_signal(signal.SIGUSR2)
    told = [process.communicate(timeout=120)[0] for process in both]
    assert list((tmp_path / "runs").glob("*/*")) == [run] and state(run)["state"] == "stopped", told
    assert state(run)["images_seen"] > 512
    assert nodes.asked.read_text() == "requeue 4077\n"


@pytest.fixture
def started(monkeypatch):
    """As torchrun tells a process that it is one of two."""
    told = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}
    for name, value in {**told, "TORCHELASTIC_RUN_ID": "test"}.items():
        monkeypatch.setenv(name, str(value))


def test_a_configuration_for_one_process_takes_all_that_were_started(started):
    config = compose(["trainer=cpu"])
    validate(config)
    assert (config.trainer.devices, config.trainer.num_nodes) == (2, 1)
    assert config.trainer.strategy == "ddp_find_unused_parameters_true"


def test_a_configuration_for_others_than_were_started_is_refused(started):
    with pytest.raises(UserError, match=r"started 2 × 1 processes, but trainer\.devices=4"):
        validate(compose(["trainer=cpu", "trainer.devices=4"]))


@pytest.mark.parametrize(("array", "asked"), [({}, "7"), ({"ARRAY_JOB_ID": "5", "ARRAY_TASK_ID": "3"}, "5_3")])
def test_of_a_slurm_array_one_task_alone_goes_into_the_queue_again(monkeypatch, array, asked):
    for name, value in {"JOB_ID": "7", **array}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    called = []
    monkeypatch.setattr(launching.shutil, "which", lambda _: "scontrol")
    monkeypatch.setattr(launching.subprocess, "run", lambda command, check: called.append(command))
    launching.requeue(signal.SIGUSR2)
    assert called == [["scontrol", "requeue", asked]]


def test_who_waits_for_the_signal_itself_is_told_of_it(monkeypatch):
    """As submitit does, on a cluster and on this machine."""
    told = []
    monkeypatch.setattr(launching.signal, "getsignal", lambda _: lambda number, frame: told.append(number))
    launching.requeue(signal.SIGUSR2)
    assert told == [signal.SIGUSR2]


@pytest.mark.parametrize("who", ["first", "second"])
def test_a_rank_that_dies_takes_the_other_down(tmp_path, who):
    first = psutil.Popen([*TRAIN, *TINY, LONG, "trainer.devices=2", f"runs={tmp_path}"], stderr=subprocess.DEVNULL)
    started = []
    try:
        wait_for(lambda: any(files_below(tmp_path, "last.ckpt")) or first.poll() is not None)
        started = first.children(recursive=True)
        (second,) = (each for each in started if "gan_lab.train" in " ".join(each.cmdline()))
        began = time.monotonic()
        (first if who == "first" else second).kill()
        assert first.wait(timeout=30) != 0
        wait_for(lambda: not second.is_running() or second.status() == psutil.STATUS_ZOMBIE, 30)
        assert time.monotonic() - began < 30
    finally:
        for each in {*started, first}:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    (kept,) = tmp_path.glob("*/*/last.ckpt")
    assert kept.stat().st_size


def test_a_rank_that_hangs_ends_the_other_in_the_time_that_was_given(tmp_path):
    first, second = Nodes(tmp_path).start(LONG, "rank_timeout=0.15", "trainer.num_nodes=2")
    try:
        wait_for(lambda: list(tmp_path.glob("runs/*/*/last.ckpt")) or first.poll() is not None)
        second.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        sentence = "A process of this run has ended, or has not answered for 0.15 minutes: see its own output"
        assert any(sentence in line for line in first.stdout)
        assert 5 < time.monotonic() - began < 15
        assert first.wait(timeout=30) == 2
    finally:
        for each in (first, second):
            each.kill()
            each.communicate()


def test_two_processes_make_and_measure_what_one_does(tmp_path, capfd):
    run, cyclegan, photos = tmp_path / "run", tmp_path / "cyclegan.ckpt", tmp_path / "photos"
    train.run(*TINY, f"run_dir={run}")
    checkpoint(cyclegan, node("cyclegan.CycleGAN"))
    photos.mkdir()
    draw = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(draw.integers(256, size=(24, 16, 3), dtype=np.uint8)).save(photos / f"{number}.png")
    (photos / "3.png").write_bytes(b"none")
    told = []
    for devices in (1, 2):
        capfd.readouterr()
        places = (str(each) for each in (run, cyclegan, photos, tmp_path / str(devices)))
        on_every_device(partial(everything, *places), "cpu", devices)
        told.append(capfd.readouterr().out.replace(str(tmp_path / str(devices)), ""))
    assert told[0] == told[1] and "Translated 4 of 5 images" in told[0]
    files = [sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.*")) for name in "12"]
    assert files[0] == files[1] and Path("samples/000010.png") in files[0]
    for file in files[0]:
        if file.suffix == ".png" or file.name == "index.html":
            assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes(), file
    one, two = (json.loads((tmp_path / name / "figures.json").read_text())["figures"] for name in "12")
    assert one == pytest.approx(two, rel=1e-6)


def test_what_several_processes_refuse_is_said_once(capfd):
    with pytest.raises(UserError, match=r"^There is no such thing: give another\.$"):
        on_every_device(refuse, "cpu", 2)
    assert "no such thing" not in capfd.readouterr().err


@pytest.mark.parametrize("devices", [0, "two", 10_000])
def test_devices_that_are_not_there_are_refused(devices):
    with pytest.raises(UserError, match=f"devices={devices} is not valid: give auto, or at most"):
        on_every_device(refuse, "cpu", devices)
