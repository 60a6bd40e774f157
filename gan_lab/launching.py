"""Processes that somebody else starts, torchrun or SLURM: they meet before a run begins, so that all begin the same."""

import os
import shutil
import subprocess

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.utilities import rank_zero_info


def environment() -> ClusterEnvironment | None:
    """Who started this process together with others; None where nobody did."""
    for kind in (TorchElasticEnvironment, SLURMEnvironment):
        if kind.detect():
            found: ClusterEnvironment = kind()
            return found if found.world_size() > 1 else None
    return None


def meet(accelerator: str) -> None:
    """Joins the processes into a group, which Lightning then takes as it is; does nothing in a process alone.

    Args:
        accelerator: the trainer's.
    """
    started = environment()
    if started is None or dist.is_initialized():
        return
    on_gpus = torch.cuda.is_available() and accelerator != "cpu"
    if on_gpus:
        torch.cuda.set_device(started.local_rank())
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = started.main_address, str(started.main_port)
    dist.init_process_group("nccl" if on_gpus else "gloo", rank=started.global_rank(), world_size=started.world_size())


def is_requeued() -> bool:
    """Whether SLURM starts this job once more, after it was interrupted."""
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0


def requeue() -> None:
    """Puts this SLURM job into its queue again."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or shutil.which("scontrol") is None:
        return
    subprocess.run(["scontrol", "requeue", job], check=False)
    rank_zero_info(f"SLURM job {job} waits in the queue again, and goes on from its last checkpoint.")
