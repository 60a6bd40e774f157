"""Processes that do one thing together: who this one is, and what all of them are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def ranks() -> tuple[int, int]:
    """The rank of this process and the number of ranks."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def agreed(value: T) -> T:
    """Rank zero's, on every rank; a collective."""
    found = [value]
    if ranks()[1] > 1:
        dist.broadcast_object_list(found, src=0)
    return found[0]


def gathered(value: T) -> list[T]:
    """Every rank's, in their order, on every rank; a collective."""
    found = [value] * ranks()[1]
    if len(found) > 1:
        dist.all_gather_object(found, value)
    return found


@contextmanager
def first_alone() -> Iterator[None]:
    """Rank zero goes through the block before the others, who find what it left there; a collective."""
    rank, world = ranks()
    if rank:
        dist.barrier()
    try:
        yield
    finally:
        if world > 1 and not rank:
            dist.barrier()
