"""A sweep's jobs: finished ones are not repeated, unfinished ones go on, and one that fails stops no other."""

import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.utilities import rank_zero_info
from omegaconf import DictConfig

from gan_lab.common import runs
from gan_lab.common.device import versions
from gan_lab.common.distributed import broadcast, is_rank_zero
from gan_lab.common.errors import UserError
from gan_lab.common.launch import cluster_environment, join_process_group, process_count
from gan_lab.evaluation.reports.jobs import JOBS
from gan_lab.training.callbacks.stop import SIGNALS
from gan_lab.training.fit import fit
from gan_lab.training.resume import FOLDER, RESUMED, choose_run_dir
from gan_lab.training.run_config import RunConfig

_current: dict[str, Any] = {}
"""The record of the job that runs."""


def recorded(perform: Callable[[DictConfig], Any], config: DictConfig) -> Any:
    """Performs a job and records how it began and ended; an error is printed, recorded, and stops no other job.

    Returns:
        the job's value; None if it failed.

    Raises:
        SystemExit: if a signal stopped the job, and the sweep with it.
    """
    job = HydraConfig.get()
    path = Path(job.sweep.dir) / JOBS / f"{job.job.num:04d}.json"
    _current.clear()
    _current.update({"job": job.job.num, "overrides": list(job.overrides.task), "state": "running", "run": None})
    first = is_rank_zero()
    if first:
        runs.write_json(path, _current)
    try:
        value = perform(config)
        _current["state"] = runs.read_json(Path(_current["run"]) / "run.json").get("state", "finished")
        return value
    except UserError as error:
        _current.update({"state": "failed", "error": str(error)})
        print(f"gan_lab: job {job.job.num} failed: {error}", file=sys.stderr)
    except Exception as error:
        _current.update({"state": "failed", "error": f"{type(error).__name__}: {error}".strip()})
        traceback.print_exc()
        print(f"gan_lab: job {job.job.num} failed, and the others go on.", file=sys.stderr)
    except BaseException:
        _current["state"] = "stopped"
        raise
    finally:
        if first:
            runs.write_json(path, _current)
        _give_back_memory()
    return None


def run_job(config: RunConfig, command: str) -> float | None:
    """Trains a job's resolved configuration, unless an earlier run has finished it; returns the best metric.

    Raises:
        UserError: for a configuration that cannot work.
        RuntimeError: if processes of the job's own fail.
    """
    config = config if config.resume is False else config.resuming_itself()
    found = _finished(config)
    _current["found"] = found is not None
    if found is None:
        _train(config, command)
    else:
        _began(found)
    return runs.best_value(Path(_current["run"]))


def _began(folder: Path) -> None:
    _current["run"] = str(folder)


def _give_back_memory() -> None:
    """Collects networks, optimizers and trainers, which refer to one another and would stay in memory for long."""
    with _held_back():
        gc.collect()
    torch._dynamo.reset()  # dynamo compiles a limited number of networks per process
    torch.cuda.empty_cache()


@contextmanager
def _held_back() -> Iterator[None]:
    """Holds Ctrl-C back until the end of the block: the garbage collector would lose it.

    Raises:
        KeyboardInterrupt: after the block, if it came.
    """
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if received:
        raise KeyboardInterrupt


def _finished(config: RunConfig) -> Path | None:
    """The folder of a finished run of this very job, if there is one; an unfinished one is to go on.

    ``resume=false`` wants neither.
    """
    join_process_group(str(config.trainer.get("accelerator")), config.rank_timeout)
    if config.resume != "auto":
        return None
    found = broadcast(runs.find_finished(config.runs, config.values))
    if found:
        other = runs.read_json(found / "run.json").get("versions", versions()) != versions()
        rank_zero_info(f"Finished before{', by other versions' if other else ''}: {found}")
    return found


def _train(config: RunConfig, command: str) -> None:
    trainer = config.trainer
    if cluster_environment() is None and process_count(trainer) > 1:
        _apart(config)
        return
    if cluster_environment() is None and trainer["devices"] in (1, "auto") and (dealt := _dealt(trainer)):
        config = config.on_devices(dealt)
    fit(config, command, _began)


def _dealt(trainer: Mapping[str, Any]) -> list[int]:
    """The GPUs that a job takes, as jobs may run side by side: those after the job before; none on the CPU."""
    gpus, count = torch.cuda.device_count(), process_count(trainer)
    if gpus <= count or trainer.get("accelerator") == "cpu" or int(trainer.get("num_nodes") or 1) > 1:
        return []
    return [(int(HydraConfig.get().job.num) * count + number) % gpus for number in range(count)]


def _apart(config: RunConfig) -> None:
    """Runs a job on several devices in a process group of its own: Lightning starts further ranks by this process's
    command line, which is the whole sweep's.

    Raises:
        RuntimeError: if it fails.
        SystemExit: if it was stopped.
    """
    folder, checkpoint = choose_run_dir(config)
    _began(folder)
    process = subprocess.Popen(_command(folder, checkpoint), env=_variables(config), start_new_session=True)
    with _passing_on(process):
        status = process.wait()
    if status - 128 in SIGNALS:
        sys.exit(status)
    if status:
        raise RuntimeError(f"the job's processes ended with status {status}")


def _command(folder: Path, checkpoint: Path | None) -> list[str]:
    """The command line of the job alone."""
    job = HydraConfig.get()
    overrides = [each for each in job.overrides.task if not each.startswith(("run_dir=", "resume="))]
    command = [sys.executable, "-m", "gan_lab.train", *overrides, f"run_dir={folder}"]
    command.append(f"resume={checkpoint or 'false'}")
    command += [each for each in job.overrides.hydra if each.startswith("hydra.searchpath")]
    for source in job.runtime.config_sources:
        command += ["--config-dir", source.path] if source.provider == "command-line" else []
    return command


def _variables(config: RunConfig) -> dict[str, str]:
    """The environment of the job alone, with the GPUs that it takes."""
    variables = {key: value for key, value in os.environ.items() if key not in (FOLDER, RESUMED)}
    variables["WANDB_RUN_GROUP"] = variables.get("WANDB_RUN_GROUP") or Path(HydraConfig.get().sweep.dir).name
    if type(config.trainer["devices"]) is int and (dealt := _dealt(config.trainer)):
        seen = variables.get("CUDA_VISIBLE_DEVICES", "").split(",")
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(seen[n] if len(seen) > n and seen[n] else str(n) for n in dealt)
    return variables


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Passes signals on to the job's own process group, which saves and ends; on Windows to its first process."""

    def passed_on(number: int, _: Any) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number) if hasattr(os, "killpg") else process.send_signal(number)

    before = {number: signal.signal(number, passed_on) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
