"""Several processes for one command.

Processes that torchrun or SLURM starts join a process group before a run begins, so that all begin the same run.
Commands that sample or evaluate start one process for each device.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.utilities import rank_zero_info
from torch.multiprocessing import ProcessContext, ProcessExitedException, get_context, start_processes

from gan_lab.common.device import resolve_device
from gan_lab.common.errors import UserError

T = TypeVar("T")
LOCALHOST = "127.0.0.1"


def cluster_environment() -> ClusterEnvironment | None:
    """Returns the launcher's cluster environment (torchrun, SLURM); None for a single process."""
    for kind in (TorchElasticEnvironment, SLURMEnvironment):
        if kind.detect():
            environment: ClusterEnvironment = kind()
            return environment if environment.world_size() > 1 else None
    return None


def join_process_group(accelerator: str, minutes: float | None = None) -> None:
    """Joins the launcher's process group, which Lightning then uses; does nothing in a single process.

    Args:
        accelerator: the trainer's; "cpu" ignores GPUs.
        minutes: a process that does not answer for so long ends the others; see ``rank_timeout``.
    """
    cluster = cluster_environment()
    if cluster is None or dist.is_initialized():
        return
    on_gpus = torch.cuda.is_available() and accelerator != "cpu"
    if on_gpus:
        torch.cuda.set_device(_gpu_index(cluster.local_rank()))
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = cluster.main_address, str(cluster.main_port)
    rank, world_size, timeout = cluster.global_rank(), cluster.world_size(), rank_timeout(minutes)
    dist.init_process_group(_backend(on_gpus), rank=rank, world_size=world_size, timeout=timeout)


def rank_timeout(minutes: float | None = None) -> timedelta:
    """Returns the time after which a process that does not answer ends the others; half an hour by default."""
    return timedelta(minutes=minutes or 30)


def _gpu_index(local_rank: int) -> int:
    """Returns the index of a process's GPU; a SLURM task that is bound to one GPU sees no other."""
    return local_rank % torch.cuda.device_count()


def _backend(on_gpus: bool) -> str:
    return "cpu:gloo,cuda:nccl" if on_gpus else "gloo"


def on_every_device(
    work: Callable[[str], T], device: str, devices: int | str = "auto", parts: int | None = None
) -> T | None:
    """Calls ``work`` with the name of its device, in one process for each device.

    Several processes join a process group. Processes that torchrun or SLURM started are used as they are.

    Args:
        work: a module's function, or a ``functools.partial`` of one, which further processes import.
        device: "auto", "cpu", "cuda", "cuda:1", ….
        devices: number of devices; "auto" takes every GPU of this machine, or one process on the CPU.
        parts: number of independent parts of the work; "auto" takes no more devices.

    Returns:
        the result of ``work``, or None if further processes were started.

    Raises:
        UserError: for devices that are not available, and if ``work`` raises it in any process.
        RuntimeError: if a process fails; the others are terminated.
    """
    if dist.is_initialized():
        return work(device)
    if cluster := cluster_environment():
        own = _device_of_rank(device, cluster.local_rank())
        join_process_group(resolve_device(own).type)
        return work(own)
    count = _num_processes(device, devices, parts)
    if count == 1:
        return work(device)
    _run_processes(work, device, count)
    return None


def _num_processes(name: str, devices: int | str, parts: int | None) -> int:
    """Returns the number of processes to run.

    Raises:
        UserError: for a number of devices that is not available.
    """
    device = resolve_device(name)
    available = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    if devices == "auto":
        return min(available, parts or available) if device.type == "cuda" and name in ("auto", "cuda") else 1
    if type(devices) is not int or not 1 <= devices <= available:
        kind = "GPUs" if device.type == "cuda" else "cores"
        raise UserError(f"devices={devices} is not valid: give auto, or at most {available}, the number of {kind}.")
    if devices > 1 and ":" in name:
        raise UserError(f"device={name} is a single device: give device=cuda with devices={devices}.")
    return devices


def _device_of_rank(device: str, local_rank: int) -> str:
    """Returns the device of one of several processes."""
    kind = resolve_device(device).type
    return f"{kind}:{_gpu_index(local_rank)}" if kind == "cuda" else kind


def _run_processes(work: Callable[[str], object], device: str, count: int) -> None:
    store = dist.TCPStore(LOCALHOST, 0, count + 1, is_master=True, wait_for_workers=False)
    errors = get_context("spawn").SimpleQueue()
    threads = max(1, torch.get_num_threads() // count)
    context = start_processes(_run_rank, (count, store.port, threads, work, device, errors), count, join=False)
    try:
        _wait(context)
    except ProcessExitedException:
        if errors.empty():
            raise
        raise UserError(errors.get()) from None
    finally:
        for process in context.processes:
            process.terminate()


def _wait(context: ProcessContext) -> None:
    """Waits for all processes; when one fails, the others get 5 s to end by themselves."""
    while not context.join(grace_period=5):
        pass


def _run_rank(
    rank: int,
    world_size: int,
    port: int,
    threads: int,
    work: Callable[[str], object],
    device: str,
    errors: "SimpleQueue[str]",
) -> None:
    """Runs ``work`` in one of the processes; the parent process reports the message of a ``UserError`` once."""
    own = _device_of_rank(device, rank)
    if own.startswith("cuda"):
        torch.cuda.set_device(rank)
    torch.set_num_threads(threads)
    store = dist.TCPStore(LOCALHOST, port, world_size + 1, is_master=False)
    backend, timeout = _backend(own.startswith("cuda")), rank_timeout()
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=timeout)
    try:
        work(own)
    except UserError as error:
        errors.put(str(error))
        raise SystemExit(2) from None
    dist.destroy_process_group()


def process_count(trainer: Mapping[str, Any]) -> int:
    """Returns the number of processes that a trainer's configuration asks for: one per device, on all nodes."""
    devices, nodes = trainer.get("devices"), int(trainer.get("num_nodes") or 1)
    if devices in ("auto", -1, "-1"):
        per_node = 1 if trainer.get("accelerator") == "cpu" else max(1, torch.cuda.device_count())
    elif isinstance(devices, str) and "," in devices:
        per_node = len(devices.strip(",").split(","))
    else:
        per_node = len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else int(devices or 1)
    return per_node * nodes


def is_requeued() -> bool:
    """Says whether SLURM has started this job again after an interruption."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0


def launched_devices_and_nodes() -> tuple[int, int] | None:
    """Returns the number of processes per node and the number of nodes that torchrun or SLURM started.

    None for a single process.
    """
    cluster = cluster_environment()
    if cluster is None:
        return None
    nodes = int(os.environ.get("SLURM_NNODES") or 1)
    stated = os.environ.get(
        "LOCAL_WORLD_SIZE" if isinstance(cluster, TorchElasticEnvironment) else "SLURM_NTASKS_PER_NODE"
    )
    per_node = int(stated) if stated and stated.isdigit() else cluster.world_size() // nodes
    return per_node, cluster.world_size() // per_node


def requeue(signal_number: int) -> None:
    """Requeues this job after a signal: by submitit's handler of the signal, if there is one, else by ``scontrol``."""
    handler = signal.getsignal(signal_number)
    if callable(handler):
        handler(signal_number, None)
        return
    job, array = (os.environ.get(name) for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"))
    if array:  # the id of one of its tasks is the array's own, which would requeue all tasks
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    if job is None or shutil.which("scontrol") is None or int(os.environ.get("SLURM_PROCID") or 0):
        return
    subprocess.run(["scontrol", "requeue", job], check=False)
    rank_zero_info(f"SLURM job {job} is queued again and will resume from its last checkpoint.")
