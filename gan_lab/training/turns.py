"""Turns of one iteration: each phase that is due computes its losses, their gradients, and steps."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_lab.common.distributed import all_reduce_mean
from gan_lab.common.errors import UserError
from gan_lab.common.seeds import seed_of
from gan_lab.common.types import Batch, Phase, Shared
from gan_lab.training.noise import KeyedStream, seed_layers

if TYPE_CHECKING:
    from gan_lab.training.alternating import AlternatingModule

Outputs = dict[str, dict[str, Tensor]]
"""Detached losses and logs (scalars) of an iteration, by phase and name."""


class Turns:
    """The turns of a module's phases on one batch.

    The forward that phases share runs once, and keeps its graph for one phase alone. With several micro-batches it runs
    again for each phase, from the same random numbers, so that no more than one graph is held.

    Args:
        module: the method that trains.
        batch: batch of the iteration; for a phase with a new batch its second half.
    """

    def __init__(self, module: "AlternatingModule", batch: Batch) -> None:
        self.module, self.micro_batches = module, module.engine.micro_batches
        self.batches = [split(part, self.micro_batches) for part in split(batch, module.batches_per_iteration)]

    def run(self, due: Sequence[Phase]) -> Outputs:
        """Runs the phases that are due and returns their losses."""
        graph = any(phase.name == self.module.shares_graph and not phase.new_batch for phase in due)
        optimizers, outputs = self.module.phase_optimizers(), {}
        for phase in due:  # at once, so that no player's old gradients lie beside another's graph
            optimizers[phase.name].zero_grad()
        shared = self._forward("draw", 0, self.batches[0][0], graph) if self.micro_batches == 1 else None
        for phase in due:
            optimizer = optimizers[phase.name]
            if phase.optimizer is not None:
                optimizer.zero_grad()  # of the gradients that it has just stepped by
            self.module.toggle_optimizer(optimizer)
            losses = [
                self._backward(phase, i, part, None if phase.new_batch else shared)
                for i, part in enumerate(self.batches[-1 if phase.new_batch else 0])
            ]
            optimizer.step()
            torch.clear_autocast_cache()  # it holds the weights from before the step
            self.module.untoggle_optimizer(optimizer)
            self.module.after_step(phase.name)
            norm = self.module.grad_norm
            outputs[phase.name] = {**mean_of(losses), **({} if norm is None else {"grad_norm": norm})}
        return outputs

    def _backward(self, phase: Phase, i: int, part: Batch, shared: Shared | None) -> dict[str, Tensor]:
        """Adds the gradients of micro-batch i and returns its losses; runs the shared forward if ``shared`` is None."""
        graph = phase.name == self.module.shares_graph
        if shared is None:
            shared = self._forward(f"draw {phase.key}" if phase.new_batch else "draw", i, part, graph)
        if not graph:
            shared = {name: value.detach() for name, value in shared.items()}
        losses = phase.losses(part, shared, self._stream(phase.key, i))
        self.module.manual_backward(losses.total / self.micro_batches)
        return {name: value.detach() for name, value in {**losses.terms, **losses.logs}.items()}

    def _forward(self, key: str, i: int, part: Batch, graph: bool) -> Shared:
        noise = self._stream(key, i)
        with torch.set_grad_enabled(graph):
            return self.module.shared_forward(part, noise)

    def _stream(self, key: str, i: int) -> KeyedStream:
        """Returns the random numbers of micro-batch i, and seeds layers that draw their own, such as dropout."""
        module, parts = self.module, self.micro_batches
        keys = (module.engine.seed, module.iteration, key)
        seed_layers(seed_of(*keys, module.global_rank, i), module.device)
        part = module.global_rank * parts + i
        return KeyedStream(*keys, part=part, parts=module.num_ranks * parts, device=module.device)


def split(batch: Batch, parts: int) -> list[Batch]:
    """Splits a batch into equal parts.

    Raises:
        UserError: if the size of the batch is not a multiple of ``parts``.
    """
    size = len(next(iter(batch.values())))
    if size % parts:
        raise UserError(f"A batch of {size} does not split into {parts} equal micro-batches: choose a divisor.")
    chunks: Iterator[tuple[Tensor, ...]] = zip(*(value.chunk(parts) for value in batch.values()), strict=True)
    return [dict(zip(batch, chunk, strict=True)) for chunk in chunks]


def mean_of(losses: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the mean of each loss over the micro-batches, scalars."""
    if len(losses) == 1:
        return {name: value.float() if value.ndim == 0 else value.float().mean() for name, value in losses[0].items()}
    return {name: torch.stack([part[name].float() for part in losses]).mean() for name in losses[0]}


def log_losses(module: "AlternatingModule", outputs: Outputs) -> None:
    """Sends the losses, averaged over all ranks, to the loggers as ``train/<phase>/<name>``. Collective."""
    flat = {f"train/{phase}/{name}": value for phase, losses in outputs.items() for name, value in losses.items()}
    if not flat:
        return
    values = all_reduce_mean(torch.stack([value.float() for value in flat.values()])).tolist()
    for logger in module.trainer.loggers if module.trainer.is_global_zero else ():
        logger.log_metrics(dict(zip(flat, values, strict=True)), step=module.images_seen)
