"""Many processes for one thing: those that torchrun or SLURM starts meet before a run begins, so that all begin the
same; and what samples or measures has one of its own on every device.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.utilities import rank_zero_info
from torch.multiprocessing import ProcessContext, ProcessExitedException, get_context, start_processes

from gan_lab.common.device import resolve_device
from gan_lab.common.errors import UserError

T = TypeVar("T")
Plain = dict[str, Any]
HERE = "127.0.0.1"


def cluster_environment() -> ClusterEnvironment | None:
    """Who started this process together with others; None where nobody did."""
    for kind in (TorchElasticEnvironment, SLURMEnvironment):
        if kind.detect():
            found: ClusterEnvironment = kind()
            return found if found.world_size() > 1 else None
    return None


def join_process_group(accelerator: str) -> None:
    """Joins the processes into a group, which Lightning then takes as it is; does nothing in a process alone.

    Args:
        accelerator: the trainer's.
    """
    started = cluster_environment()
    if started is None or dist.is_initialized():
        return
    on_gpus = torch.cuda.is_available() and accelerator != "cpu"
    if on_gpus:
        torch.cuda.set_device(_gpu(started.local_rank()))
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = started.main_address, str(started.main_port)
    dist.init_process_group(_backend(on_gpus), rank=started.global_rank(), world_size=started.world_size())


def _gpu(local_rank: int) -> int:
    """A task to which SLURM binds a GPU of its own sees no other."""
    return local_rank % torch.cuda.device_count()


def _backend(on_gpus: bool) -> str:
    return "cpu:gloo,cuda:nccl" if on_gpus else "gloo"


def on_every_device(work: Callable[[Plain], T], plain: Plain, parts: int | None = None) -> T | None:
    """Calls ``work`` with the configuration, in one process a device where there are several, which have joined into a
    group and whose ``device`` is their own. Returns what it gives, and None where further processes were started.

    ``devices`` says how many: auto is every GPU of this machine, or one process on the CPU. Those that torchrun or
    SLURM started are taken as they are.

    Args:
        work: a function of a module, for further processes import it.
        parts: into how many the work falls; auto takes no more devices.

    Raises:
        UserError: for devices that are not there, and what ``work`` raises in any process.
        RuntimeError: if a process fails; the others are ended.
    """
    if dist.is_initialized():
        return work(plain)
    if started := cluster_environment():
        device = _own(plain, started.local_rank())
        join_process_group(resolve_device(device).type)
        return work({**plain, "device": device})
    count = _count(plain, parts)
    if count == 1:
        return work(plain)
    _spread(work, plain, count)
    return None


def _count(plain: Mapping[str, Any], parts: int | None) -> int:
    """How many processes are wanted."""
    name, wanted = plain["device"], plain["devices"]
    device = resolve_device(name)
    there = torch.cuda.device_count() if device.type == "cuda" else os.cpu_count() or 1
    if wanted == "auto":
        return min(there, parts or there) if device.type == "cuda" and name in ("auto", "cuda") else 1
    if type(wanted) is not int or not 1 <= wanted <= there:
        kind = "GPUs" if device.type == "cuda" else "cores"
        raise UserError(f"devices={wanted} does not serve: give auto, or up to {there}, for so many {kind} are here.")
    if wanted > 1 and ":" in name:
        raise UserError(f"device={name} is a single one: give device=cuda with devices={wanted}.")
    return wanted


def _own(plain: Mapping[str, Any], local_rank: int) -> str:
    """The device of one of several processes."""
    kind = resolve_device(plain["device"]).type
    return f"{kind}:{_gpu(local_rank)}" if kind == "cuda" else kind


def _spread(work: Callable[[Plain], Any], plain: Plain, count: int) -> None:
    store = dist.TCPStore(HERE, 0, count + 1, is_master=True, wait_for_workers=False)
    refusals = get_context("spawn").SimpleQueue()
    threads = max(1, torch.get_num_threads() // count)
    context = start_processes(_rank, (count, store.port, threads, work, plain, refusals), count, join=False)
    try:
        _wait(context)
    except ProcessExitedException:
        if refusals.empty():
            raise
        raise UserError(refusals.get()) from None
    finally:
        for process in context.processes:
            process.terminate()


def _wait(context: ProcessContext) -> None:
    """Where one fails the others mostly find out by themselves."""
    while not context.join(grace_period=5):
        pass


def _rank(
    rank: int, world: int, port: int, threads: int, work: Callable[[Plain], Any], plain: Plain, refusals: Any
) -> None:
    """One of the processes. What the user did wrong is told to the first, which says it once."""
    device = _own(plain, rank)
    if device.startswith("cuda"):
        torch.cuda.set_device(rank)
    torch.set_num_threads(threads)
    store = dist.TCPStore(HERE, port, world + 1, is_master=False)
    dist.init_process_group(_backend(device.startswith("cuda")), store=store, rank=rank, world_size=world)
    try:
        work({**plain, "device": device})
    except UserError as error:
        refusals.put(str(error))
        raise SystemExit(2) from None
    dist.destroy_process_group()


def process_count(trainer: Mapping[str, Any]) -> int:
    """The number of processes that a trainer's configuration asks for: one a device, on all nodes."""
    devices, nodes = trainer.get("devices"), int(trainer.get("num_nodes") or 1)
    if devices in ("auto", -1, "-1"):
        here = 1 if trainer.get("accelerator") == "cpu" else max(1, torch.cuda.device_count())
    elif isinstance(devices, str) and "," in devices:
        here = len(devices.strip(",").split(","))
    else:
        here = len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else int(devices or 1)
    return here * nodes


def is_requeued() -> bool:
    """Whether SLURM starts this job once more, after it was interrupted."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0


def launched_devices_and_nodes() -> tuple[int, int] | None:
    """How many processes somebody else started on each node, and on how many nodes; None where nobody did."""
    started = cluster_environment()
    if started is None:
        return None
    nodes = int(os.environ.get("SLURM_NNODES") or 1)
    here = os.environ.get(
        "LOCAL_WORLD_SIZE" if isinstance(started, TorchElasticEnvironment) else "SLURM_NTASKS_PER_NODE"
    )
    each = int(here) if here and here.isdigit() else started.world_size() // nodes
    return each, started.world_size() // each


def requeue(received: int) -> None:
    """Puts this job into its queue again: submitit's, which waits for the signal itself, else SLURM's."""
    handler = signal.getsignal(received)
    if callable(handler):
        handler(received, None)
        return
    job, array = (os.environ.get(name) for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"))
    if array:  # one of its tasks has the array's own id, by which all would be taken back
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    if job is None or shutil.which("scontrol") is None or int(os.environ.get("SLURM_PROCID") or 0):
        return
    subprocess.run(["scontrol", "requeue", job], check=False)
    rank_zero_info(f"SLURM job {job} waits in the queue again, and goes on from its last checkpoint.")
