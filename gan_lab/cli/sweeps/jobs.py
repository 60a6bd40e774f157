"""A sweep's jobs: what is finished is not done again, what is not goes on, and one that fails stops no other."""

import atexit
import functools
import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from lightning.pytorch.utilities import rank_zero_info
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gan_lab.cli.config.checks import processes, settle
from gan_lab.cli.config.compose import resolve
from gan_lab.cli.config.resolvers import is_multirun
from gan_lab.common import runs
from gan_lab.common.device import versions
from gan_lab.common.distributed import broadcast, is_rank_zero
from gan_lab.common.errors import UserError
from gan_lab.common.launch import cluster_environment, join_process_group
from gan_lab.evaluation.reports.jobs import JOBS, read_jobs
from gan_lab.evaluation.reports.sweep import write_sweep
from gan_lab.training import fit, resume
from gan_lab.training.callbacks.checkpoint import TIME_LIMIT_SIGNALS
from gan_lab.training.record import of_sweep
from gan_lab.training.trials import JOURNAL

SIGNALS = (signal.SIGINT, signal.SIGTERM, *TIME_LIMIT_SIGNALS)


def train(config: DictConfig) -> float | None:
    """As ``fit.train``; in a sweep, one job of it, which returns None where it failed and lets the others go on.

    Raises:
        SystemExit: where a signal stopped the job, and the sweep with it.
    """
    if not is_multirun():
        return fit.train(config)
    with _recorded(config) as record:
        found = _finished(config)
        record["found"] = found is not None
        config.run_dir = str(found) if found else config.run_dir
        if found is None:
            _train(config)
        value = runs.read_json(Path(config.run_dir) / "run.json").get("best", {}).get("value")
        return None if value is None else float(value)
    return None


@contextmanager
def _recorded(config: DictConfig) -> Iterator[dict[str, Any]]:
    """Writes down the job as it begins and as it ends; what goes wrong in it is told, and stays in it."""
    job = HydraConfig.get()
    path = Path(job.sweep.dir) / JOBS / f"{job.job.num:04d}.json"
    record: dict[str, Any] = {"job": job.job.num, "overrides": list(job.overrides.task), "state": "running"}
    first = is_rank_zero()
    if first:
        path.parent.mkdir(parents=True, exist_ok=True)
        runs.write_json(path, record)
    try:
        yield record
        record["state"] = runs.read_json(Path(config.run_dir) / "run.json").get("state", "finished")
    except UserError as error:
        record |= {"state": "failed", "error": str(error)}
        print(f"gan_lab: job {job.job.num} failed: {error}", file=sys.stderr)
    except Exception as error:
        record |= {"state": "failed", "error": f"{type(error).__name__}: {error}".strip()}
        traceback.print_exc()
        print(f"gan_lab: job {job.job.num} failed, and the others go on.", file=sys.stderr)
    except BaseException:
        record["state"] = "stopped"
        raise
    finally:
        if first:
            runs.write_json(path, {**record, "run": config.run_dir})
        _give_back_memory()


def _give_back_memory() -> None:
    """Networks, optimizers and trainers refer to one another, and would stay until the collector happens to run."""
    with _held_back():
        gc.collect()
    torch._dynamo.reset()  # which compiles no more than so many networks
    torch.cuda.empty_cache()


@contextmanager
def _held_back() -> Iterator[None]:
    """Ctrl-C comes after the block: in what the collector calls it would be lost.

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


def _finished(config: DictConfig) -> Path | None:
    """The folder of an earlier run that was this very job; and where one began and did not end, it is to go on.

    ``resume=false`` wants neither.
    """
    settle(config)
    join_process_group(str(config.trainer.get("accelerator")))
    if config.resume is None:
        config.resume = "auto"
    if config.resume != "auto":
        return None
    # Some folder, for a value that holds the run's own is compared without it.
    wanted = resolve(OmegaConf.merge(config, {"run_dir": "run_dir"}))  # type: ignore[arg-type]
    found = broadcast(runs.find_finished(config.runs, wanted))
    if found:
        other = runs.read_json(found / "run.json").get("versions", versions()) != versions()
        rank_zero_info(f"Finished before{', by other versions' if other else ''}: {found}")
    return found


def _train(config: DictConfig) -> None:
    if cluster_environment() is not None:
        fit.train(config)
    elif processes(config) > 1:
        _apart(config)
    else:
        if config.trainer.devices in (1, "auto") and (dealt := _dealt(config)):
            config.trainer.devices = dealt
        fit.train(config)


def _dealt(config: DictConfig) -> list[int]:
    """The GPUs that a job takes, for jobs may run side by side: those after the job before; none on the CPU."""
    gpus, count = torch.cuda.device_count(), processes(config)
    if gpus <= count or config.trainer.accelerator == "cpu" or config.trainer.num_nodes > 1:
        return []
    return [(int(HydraConfig.get().job.num) * count + number) % gpus for number in range(count)]


def _apart(config: DictConfig) -> None:
    """A job on several devices in a process group of its own: Lightning starts further ranks by the command that it
    finds, which within a sweep would be the whole sweep's.

    Raises:
        RuntimeError: if it fails.
        SystemExit: if it was stopped.
    """
    checkpoint = resume.place(config)
    job = HydraConfig.get()
    overrides = [each for each in job.overrides.task if not each.startswith(("run_dir=", "resume="))]
    command = [sys.executable, "-m", "gan_lab.train", *overrides, f"run_dir={config.run_dir}"]
    command.append(f"resume={checkpoint or 'false'}")
    command += [each for each in job.overrides.hydra if each.startswith("hydra.searchpath")]
    for source in job.runtime.config_sources:
        command += ["--config-dir", source.path] if source.provider == "command-line" else []
    variables = {key: value for key, value in os.environ.items() if key not in (resume.FOLDER, resume.RESUMED)}
    variables["WANDB_RUN_GROUP"] = variables.get("WANDB_RUN_GROUP") or Path(job.sweep.dir).name
    if type(config.trainer.devices) is int and (dealt := _dealt(config)):
        seen = variables.get("CUDA_VISIBLE_DEVICES", "").split(",")
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(seen[n] if len(seen) > n and seen[n] else str(n) for n in dealt)
    process = subprocess.Popen(command, env=variables, start_new_session=True)
    with _passing_on(process.pid):
        status = process.wait()
    if status - 128 in SIGNALS:
        sys.exit(status)
    if status:
        raise RuntimeError(f"the job's processes ended with status {status}")


@contextmanager
def _passing_on(group: int) -> Iterator[None]:
    """Signals go to the job's own process group, which saves and ends."""

    def passed_on(number: int, _: Any) -> None:
        with suppress(ProcessLookupError):
            os.killpg(group, number)

    before = {number: signal.signal(number, passed_on) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Table(Callback):
    """Tells of all jobs at the sweep's end, however it ends.

    Args:
        record: the path of a JSON file that keeps the table, with what it was made by.
    """

    def __init__(self, record: str | None = None) -> None:
        self.record = record

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """An earlier sweep in the same folder gives way, unless a search goes on; its runs stay."""
        folder = Path(str(config.hydra.sweep.dir))
        if is_rank_zero() and not (folder / JOURNAL).exists():
            for path in (folder / JOBS).glob("*.json"):
                path.unlink()
        self.last = functools.partial(self._tell, folder, list(config.hydra.overrides.task))
        atexit.register(self.last)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        atexit.unregister(self.last)
        if failed := self.last():
            sys.exit(failed)

    def _tell(self, folder: Path, overrides: list[str]) -> int:
        """Returns an exit status."""
        jobs = read_jobs(folder / JOBS)
        if not jobs or not is_rank_zero():  # of another command than train
            return 0
        tables, written = write_sweep(folder, jobs)
        Console().print(*tables, sep="\n")
        if self.record:
            written.append(Path(self.record))
            runs.write_json(written[-1], of_sweep(jobs, overrides))
        print(f"Wrote {', '.join(map(str, written))}")
        if failed := [job for job in jobs if job.state == "failed"]:
            print(f"gan_lab: {len(failed)} of {len(jobs)} jobs failed:", file=sys.stderr)
            print(*(f"  {job.number}: {job.error}" for job in failed), sep="\n", file=sys.stderr)
        return int(bool(failed))
