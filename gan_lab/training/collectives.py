"""Collectives of the engine: every rank must call them, and they return at once in a single process."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan_lab.common.distributed import all_reduce_mean, rank_and_world_size


@torch.no_grad()
def average_buffers(module: nn.Module) -> None:
    """Averages the floating-point buffers of a module over all ranks. Collective.

    Manual optimisation leaves the batch statistics of every rank different.
    """
    buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    if not buffers or rank_and_world_size()[1] == 1:
        return
    mean = all_reduce_mean(torch.cat([buffer.flatten() for buffer in buffers]))
    for buffer, part in zip(buffers, mean.split([buffer.numel() for buffer in buffers]), strict=True):
        buffer.copy_(part.view_as(buffer))


def max_over_ranks(value: float, device: torch.device) -> float:
    """Returns the largest value of all ranks. Collective."""
    if rank_and_world_size()[1] == 1:
        return value
    values = torch.tensor(value, device=device, dtype=torch.float64)
    dist.all_reduce(values, dist.ReduceOp.MAX)
    return float(values)


def gather_rows(rows: Tensor) -> Tensor:
    """Returns the rows (n, …) of all ranks in their order, (n · ranks, …); shapes must be equal. Collective."""
    if rank_and_world_size()[1] == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(rank_and_world_size()[1])]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)
