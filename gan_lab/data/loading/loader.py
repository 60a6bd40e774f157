"""Loaders in which order and random transforms are functions of (seed, epoch, index).

Batches are therefore the same on any number of ranks and workers, and a run resumes from any batch.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Generic, Protocol, TypedDict, TypeVar

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils.data import DataLoader, Sampler

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch
from gan_lab.data.loading.keyed_random import permutation
from gan_lab.data.types import Int64Array

Key = tuple[int, Int64Array]
"""What identifies a batch: the epoch and the rows of the set, int64 (n,)."""


K = TypeVar("K")
K_in = TypeVar("K_in", contravariant=True)
K_out = TypeVar("K_out", covariant=True)


class BatchDataset(Protocol[K_in]):
    """A map-style dataset that returns a whole batch for a key; random transforms depend on (epoch, row) alone."""

    def __getitem__(self, key: K_in, /) -> Batch: ...


class BatchSampler(Protocol[K_out]):
    """An endless sequence of the keys of batches.

    Attributes:
        per_epoch: batches in an epoch.
    """

    per_epoch: int

    def start_at(self, iteration: int) -> None:
        """Lets the next pass start at an iteration, counted over all epochs."""

    def __iter__(self) -> Iterator[K_out]: ...


class EpochBatchSampler(Sampler[Key]):
    """Endless keys of batches: batch b of an epoch has rows [bB, (b+1)B) of the epoch's permutation.

    Rank r takes the r-th part of each batch. An iteration that takes several batches gets them joined, one after the
    other.

    Args:
        n: rows of the set; rows that fill no batch are left out of the epoch.
        batch_size: B, over all ranks.
        seed: determines the order, together with the epoch.
        rank, world_size: which part of each batch is taken.
        start: the first iteration, counted over all epochs.
        batches: batches per iteration.

    Raises:
        UserError: if the set is smaller than a batch, or the ranks cannot share one evenly.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        start: int = 0,
        batches: int = 1,
    ) -> None:
        if n < batch_size * batches:
            wanted = f"batch_size={batch_size}" if batches == 1 else f"{batches} batches of batch_size={batch_size}"
            raise UserError(f"The training set has {n} examples, fewer than {wanted}: give a smaller batch_size.")
        if batch_size % world_size:
            raise UserError(
                f"batch_size={batch_size} cannot be shared by {world_size} devices: give a multiple of {world_size}."
            )
        self.n, self.batch_size, self.batches, self.seed, self.start = n, batch_size, batches, seed, start
        self.per_rank, self.rank = batch_size // world_size, rank
        self.per_epoch = n // (batch_size * batches)

    def start_at(self, iteration: int) -> None:
        """Lets the next pass start at an iteration, counted over all epochs."""
        self.start = iteration

    def __iter__(self) -> Iterator[Key]:
        epoch, done = divmod(self.start, self.per_epoch)
        share = slice(self.rank * self.per_rank, (self.rank + 1) * self.per_rank)
        while True:
            order = permutation(self.n, self.seed, epoch)
            rows = order[: self.per_epoch * self.batches * self.batch_size]
            for taken in rows.reshape(self.per_epoch, self.batches, self.batch_size)[done:]:
                yield epoch, taken[:, share].reshape(-1)
            epoch, done = epoch + 1, 0


class ZippedBatches(Sampler[Mapping[str, Key]]):
    """Keys for several sets at once, each in its own order; an epoch is as long as the longest of theirs.

    Args:
        samplers: by the name of the set.
    """

    def __init__(self, samplers: Mapping[str, EpochBatchSampler]) -> None:
        self.samplers = samplers
        self.per_epoch = max(sampler.per_epoch for sampler in samplers.values())

    def start_at(self, iteration: int) -> None:
        """Lets the next pass start at an iteration, counted over all epochs."""
        for sampler in self.samplers.values():
            sampler.start_at(iteration)

    def __iter__(self) -> Iterator[Mapping[str, Key]]:
        for keys in zip(*self.samplers.values(), strict=True):
            yield dict(zip(self.samplers, keys, strict=True))


class OneEpoch(Sampler[K], Generic[K]):
    """The keys of one epoch in each pass, from the iteration that the module counts when the pass starts.

    Args:
        batches: the endless keys.
        module: has ``iteration``; without it, each pass is the epoch after the pass before.
    """

    def __init__(self, batches: BatchSampler[K], module: LightningModule) -> None:
        self.batches, self.module, self.per_epoch = batches, module, batches.per_epoch
        self.next = 0

    def __len__(self) -> int:
        return self.per_epoch

    def __iter__(self) -> Iterator[K]:
        start: int = getattr(self.module, "iteration", self.next)
        remaining = self.per_epoch - start % self.per_epoch
        self.next = start + remaining
        self.batches.start_at(start)
        yield from islice(self.batches, remaining)


class SamplerPosition(TypedDict, total=False):
    """Arguments of ``EpochBatchSampler`` that depend on the run."""

    rank: int
    world_size: int
    start: int
    batches: int


def sampler_position(trainer: Trainer | None) -> SamplerPosition:
    """Returns where samplers start, for which rank, and how many batches an iteration takes; nothing without a trainer.

    The trainer's module has the counts as ``iteration`` and ``batches_per_iteration``.

    Raises:
        UserError: if Lightning would replace the sampler by its own, which knows nothing of keys.
    """
    if trainer is None:
        return {}
    connector = getattr(trainer, "_accelerator_connector", None)  # Lightning shows this setting nowhere else
    if trainer.world_size > 1 and getattr(connector, "use_distributed_sampler", False):
        raise UserError(
            "This loader divides batches among devices itself: give Trainer(use_distributed_sampler=False)."
        )
    module = trainer.lightning_module
    return {
        "rank": trainer.global_rank,
        "world_size": trainer.world_size,
        "start": getattr(module, "iteration", 0),
        "batches": getattr(module, "batches_per_iteration", 1),
    }


class KeyedLoader(DataLoader[Batch]):
    """A DataLoader over keys, which starts at any batch.

    It is endless, and the budget decides how long a run is, unless a Trainer that counts epochs asks for it: then each
    pass is an epoch. The position of a batch depends only on the number of batches before it, so a resumed run starts
    at its own count of iterations. Lightning's count of epochs is not used: it falls behind if a run resumes from an
    epoch's last batch.

    Args:
        data: returns the batch of a key.
        batches: the keys.
        workers: processes that make batches ahead.
        trainer: the trainer that asks for the loader, if there is one.

    Attributes:
        per_epoch: batches in an epoch.
    """

    def __init__(
        self, data: BatchDataset[K], batches: BatchSampler[K], workers: int = 0, trainer: Trainer | None = None
    ) -> None:
        self.is_endless = getattr(trainer, "max_epochs", -1) == -1
        keys: BatchSampler[K] | OneEpoch[K] = batches
        if trainer is not None and not self.is_endless:
            keys = OneEpoch(batches, trainer.lightning_module)
        super().__init__(
            data,  # type: ignore[arg-type]
            batch_size=None,
            sampler=keys,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_identity,  # type: ignore[arg-type]
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # its own, because starting an iterator would advance the global one
        )
        self.per_epoch = batches.per_epoch

    def __len__(self) -> int:
        if self.is_endless:
            raise TypeError("This loader is endless: per_epoch is the number of batches in an epoch.")
        return self.per_epoch


def _identity(batch: Batch) -> Batch:
    return batch
