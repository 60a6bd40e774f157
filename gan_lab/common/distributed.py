"""Processes that do one thing together: who this one is, and what all of them are told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def rank_and_world_size() -> tuple[int, int]:
    """The rank of this process and the number of ranks."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def broadcast(value: T) -> T:
    """Rank zero's, on every rank; a collective."""
    found = [value]
    if rank_and_world_size()[1] > 1:
        dist.broadcast_object_list(found, src=0)
    return found[0]


def all_gather(value: T) -> list[T]:
    """Every rank's, in their order, on every rank; a collective."""
    found = [value] * rank_and_world_size()[1]
    if len(found) > 1:
        dist.all_gather_object(found, value)
    return found


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Rank zero goes through the block before the others, who find what it left there; a collective."""
    rank, world = rank_and_world_size()
    if rank:
        dist.barrier()
    try:
        yield
    finally:
        if world > 1 and not rank:
            dist.barrier()


def all_reduce_mean(values: Tensor) -> Tensor:
    """The mean of values over all ranks; a collective."""
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= dist.get_world_size()
    return values


def is_rank_zero() -> bool:
    """Whether this is rank zero, as far as the environment tells before Lightning has started the others."""
    return all(int(os.environ.get(name, 0) or 0) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
