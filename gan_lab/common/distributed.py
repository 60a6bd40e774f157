"""Helpers for distributed processes. Those called collective must be called by all ranks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def rank_and_world_size() -> tuple[int, int]:
    """Returns the rank of this process and the number of ranks; 0 and 1 without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def broadcast(value: T) -> T:
    """Broadcasts rank 0's value to all ranks. Collective."""
    values = [value]
    if rank_and_world_size()[1] > 1:
        dist.broadcast_object_list(values, src=0)
    return values[0]


def all_gather(value: T) -> list[T]:
    """Returns the values of all ranks, in the order of the ranks. Collective."""
    values = [value] * rank_and_world_size()[1]
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Runs the block on rank 0 first, then on the other ranks, which can use its results on disk. Collective."""
    rank, world = rank_and_world_size()
    if rank:
        dist.barrier()
    try:
        yield
    finally:
        if world > 1 and not rank:
            dist.barrier()


def all_reduce_sum(values: Tensor) -> Tensor:
    """Returns the sum of a tensor of any shape over all ranks. Collective."""
    if rank_and_world_size()[1] > 1:
        dist.all_reduce(values := values.clone())
    return values


def all_reduce_mean(values: Tensor) -> Tensor:
    """Returns the mean of a tensor of any shape over all ranks. Collective."""
    world = rank_and_world_size()[1]
    return all_reduce_sum(values) / world if world > 1 else values


def is_lost_rank(error: BaseException) -> bool:
    """Returns True for the error of a process whose partner has stopped answering, or has ended."""
    text = str(error).lower()
    signs = ("timed out", "timeout", "connection closed", "connection reset", "broken pipe")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)


def raise_lost_rank(error: Exception) -> None:
    """Raises an error again if it says that another rank has ended: no collective can succeed any more."""
    if is_lost_rank(error) and rank_and_world_size()[1] > 1:
        raise error


def is_rank_zero() -> bool:
    """Says whether this is rank 0 according to the environment, before Lightning starts further processes."""
    return all(int(os.environ.get(name, 0) or 0) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
