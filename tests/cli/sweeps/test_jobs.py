"""Sweeps as a user gives them: jobs that end, fail, are found finished, go on, or run on two devices."""

import csv
import gc
import inspect
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import hydra
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from gan_lab.cli.config import paths
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.hydra_versions import version_arguments
from gan_lab.cli.sweeps import jobs as sweeps
from gan_lab.cli.sweeps import table
from gan_lab.common.errors import UserError
from gan_lab.train import train
from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.callbacks.stop import TIME_LIMIT_SIGNALS
from gan_lab.training.run_config import RunConfig

TINY = ["data=digits", "debug=smoke", "model.generator.base=4", "model.discriminator.base=4", "callbacks.samples=null"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("sweeps")


@pytest.fixture
def sweep(home, monkeypatch, capfd):
    """Runs ``gan_lab.train -m``; gives the rows of its table, the exit status and what was printed."""

    def call(name, *arguments):
        monkeypatch.chdir(home)
        monkeypatch.setattr(sys, "argv", ["gan_lab", "-m", *TINY, f"hydra.sweep.dir={name}", *arguments])
        status = 0
        try:
            train()
        except SystemExit as end:
            status = end.code
        with Path(name, "table.csv").open() as file:
            return list(csv.DictReader(file)), status, capfd.readouterr()

    return call


SMALL = "data.size=8"
GRID = ["model=dcgan,sngan", "seed=1,2"]


def test_every_job_has_a_row_and_one_that_fails_stops_no_other(sweep, home):
    rows, status, told = sweep("first", *GRID, "data.size=8,7", "record=records/${method}_${seed}_${data.size}.json")
    assert [row["state"] for row in rows] == ["finished", "failed"] * 4 and status == 1
    assert [row["job"] for row in rows] == [str(number) for number in range(8)]
    assert rows[6]["model"] == "sngan" and rows[6]["seed"] == "2"
    record = json.loads((home / rows[6]["run"] / "run.json").read_text())
    assert float(rows[6]["fd_grey"]) == pytest.approx(record["figures"]["fd_grey"], rel=1e-4)
    assert float(rows[6]["best quick_fd_grey"]) == pytest.approx(record["best"]["value"], rel=1e-4)
    assert "data.size=8 works" in rows[7]["error"]
    assert "4 of 8 jobs failed" in told.err and "dcgan" in told.out
    with (home / "first" / "seeds.csv").open() as file:
        seeds = list(csv.DictReader(file))
    assert [row["seeds"] for row in seeds] == ["2"] * 2  # though each job has a record of its own
    assert len(list((home / "records").glob("*.json"))) == 4
    pair = [float(row["fd_grey"]) for row in rows[:4:2]]
    assert float(seeds[0]["fd_grey: mean"]) == pytest.approx(sum(pair) / 2, rel=1e-4)
    assert {"table.svg", "index.html"} <= {path.name for path in (home / "first").iterdir()}


def test_again_it_finds_what_is_finished_and_goes_on_with_what_is_not(sweep, home):
    """The jobs of the first test, one of which seems to have been stopped."""
    before, folders = sweep("first", *GRID, SMALL)[0], sorted(home.glob("runs/*/*"))
    stopped = home / before[3]["run"] / "run.json"
    stopped.write_text(json.dumps({**json.loads(stopped.read_text()), "state": "stopped"}))
    rows, status, _ = sweep("again", *GRID, SMALL)
    assert [row["state"] for row in rows] == ["finished" if n == 3 else "found finished" for n in range(4)]
    assert [row["run"] for row in rows] == [row["run"] for row in before] and status == 0
    assert sorted(home.glob("runs/*/*")) == folders
    assert json.loads(stopped.read_text())["state"] == "finished"


def test_a_job_is_the_run_it_would_be_alone_and_leaves_nothing_behind(sweep, home, monkeypatch):
    def models():
        return {id(each) for each in gc.get_objects() if isinstance(each, AlternatingModule)}

    gc.collect()
    before = models()
    rows, _, _ = sweep("pair", SMALL, "seed=5,6", "budget.images=256")
    assert models() <= before
    monkeypatch.setattr(sys, "argv", ["gan_lab", *TINY, SMALL, "seed=6", "budget.images=256", "run_dir=alone"])
    train()
    one, other = (torch.load(home / run / "last.ckpt", weights_only=True) for run in (rows[1]["run"], "alone"))
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)


def test_a_job_on_two_devices_has_processes_of_its_own(sweep, home, monkeypatch):
    """Where these fail, the job has failed."""
    keys = ["trainer=ddp_cpu", SMALL, "budget.images=256", "callbacks.fidelity=null"]
    (row,), status, _ = sweep("devices", *keys, "seed=7")
    assert row["state"] == "finished" and status == 0
    record = json.loads((home / row["run"] / "config.json").read_text())
    assert record["trainer"]["devices"] == 2
    failing = home / "script"
    failing.write_text("#!/bin/sh\nexit 3\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    (row,), status, _ = sweep("failing", *keys, "seed=8")
    assert row["state"] == "failed" and status == 1
    assert "ended with status 3" in row["error"]


def test_tasks_of_one_slurm_job_are_its_processes_already(monkeypatch):
    config = RunConfig.of(resolve(compose([*TINY, "trainer=ddp_cpu", "run_dir=here"])))
    called = []
    monkeypatch.setattr(sweeps, "fit", lambda *arguments: called.append(arguments[0]))
    monkeypatch.setattr(sweeps, "cluster_environment", lambda: object())
    sweeps._train(config, "")
    assert called == [config]


@pytest.mark.parametrize(("job", "given", "taken"), [(0, 1, [0]), (4, 1, [1]), (4, [2], [2])])
def test_jobs_side_by_side_take_the_gpus_in_turn(monkeypatch, job, given, taken):
    config = RunConfig.of(
        resolve(compose([*TINY, "trainer.accelerator=auto", f"trainer.devices={given}", "run_dir=here"]))
    )
    called = []
    monkeypatch.setattr(sweeps, "fit", lambda *arguments: called.append(arguments[0]))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(sweeps.HydraConfig, "get", lambda: SimpleNamespace(job=SimpleNamespace(num=job)))
    sweeps._train(config, "")
    assert called[0].trainer["devices"] == taken


def test_ctrl_c_while_memory_is_given_back_comes_after_it():
    done = False
    with pytest.raises(KeyboardInterrupt), sweeps._held_back():
        os.kill(os.getpid(), signal.SIGINT)
        done = True
    assert done


def test_a_sweep_that_is_cut_short_has_a_table_too(sweep, home, monkeypatch):
    at_exit = []
    monkeypatch.setattr(table.atexit, "register", at_exit.append)

    def stopped(config, command):
        if config.values["seed"] == 21:
            raise UserError("no")
        (home / "cut" / "table.csv").touch()  # Hydra 1.3 leaves the table to the end of the process
        raise SystemExit(143)

    monkeypatch.setattr(sweeps, "_train", stopped)
    assert sweep("cut", SMALL, "seed=21,22,23")[1] == 143
    at_exit[0]()
    with (home / "cut" / "table.csv").open() as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["failed", "stopped"]


def test_slurm_is_asked_to_warn_jobs_and_to_take_them_back(tmp_path):
    from submitit.slurm.slurm import _make_sbatch_string

    with hydra.initialize_config_dir(str(paths.home("conf")), **version_arguments()):
        chosen = ["hydra/launcher=slurm", "hydra.launcher.partition=gpu"]
        config = hydra.compose("train", chosen, return_hydra_config=True)
    known = inspect.signature(_make_sbatch_string).parameters
    node = {key: value for key, value in config.hydra.launcher.items() if key in known}
    asked = _make_sbatch_string("work", tmp_path, **OmegaConf.to_container(OmegaConf.create(node)))
    assert {"#SBATCH --signal=USR2@120", "#SBATCH --requeue", "#SBATCH --partition=gpu"} <= set(asked.splitlines())
    assert signal.SIGUSR2 in TIME_LIMIT_SIGNALS


def test_agents_of_wandb_start_jobs_in_hydras_grammar():
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    sweep = yaml.safe_load((paths.home("experiments") / "sweep" / "ring_wandb.yml").read_text())
    given = {key: {"value": ranges["min"]} for key, ranges in sweep["parameters"].items()}
    words = {f"${{{name}}}": value for name, value in create_sweep_command_args({"args": given}).items()}
    command = [word for part in create_sweep_command(sweep["command"]) for word in words.get(part, [part])]
    assert command[:4] == ["${env}", "${interpreter}", "-m", "${program}"] and sweep["program"] == "gan_lab.train"
    config = compose(command[4:])
    assert config.loss.penalties.r1.weight == 1e-4 and config.logger.wandb.project == "gan_lab"
    assert sweep["metric"]["name"] == f"metric_train/{config.callbacks.checkpoint.monitor}"


def test_launchers_send_jobs_that_other_processes_can_import(monkeypatch):
    sent = []
    monkeypatch.setattr(hydra, "main", lambda *_, **__: lambda work: lambda: sent.append(work))
    monkeypatch.setattr(sys, "argv", ["gan_lab.train"])
    monkeypatch.delitem(sys.modules, "gan_lab.train")
    runpy.run_module("gan_lab.train", run_name="__main__", alter_sys=True)
    pickled = cloudpickle.dumps(sent[0])  # as joblib and submitit do
    assert b"gan_lab.train" in pickled and b"__main__" not in pickled


def test_sigterm_during_a_sweep_stops_it_and_its_table_is_written(tmp_path):
    """The signal comes while the sweep trains, composes or passes from job to job."""
    small = ["data=digits", "data.size=8", "budget.epochs=null", "budget.images=64", "trainer=cpu", "callbacks=none"]
    places = [f"runs={tmp_path}", f"hydra.sweep.dir={tmp_path}", "logger=none"]
    seeds = f"seed={','.join(map(str, range(99)))}"
    command = [sys.executable, "-m", "gan_lab.train", "-m", *small, *places, seeds]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "jobs" / "0001.json").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "table.csv" in printed and (tmp_path / "table.csv").is_file()
