"""Batches whose order and random transforms are functions of (seed, epoch, index): the same on any number of ranks and
workers, and from whatever batch a run is resumed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch
from gan_lab.data.reading.pictures import Indices

Key = tuple[int, Indices]
"""What a batch is made from: the epoch and the rows (n,) of the set."""

WORD = 2**64 - 1


class Keyed(Protocol):
    """A set that makes a whole batch at once, its random transforms from (epoch, row) alone."""

    def __getitem__(self, key: Any, /) -> Batch: ...


class Keys(Protocol):
    """The keys of all batches, without end, and how many make an epoch."""

    per_epoch: int

    def __iter__(self) -> Iterator[Any]: ...


def permutation(n: int, *key: int) -> Indices:
    """An order of n rows, int64 (n,): the same in every version of every library."""
    return np.argsort(keyed_uniform(np.arange(n), *key), kind="stable")


def keyed_uniform(rows: Indices, *key: int) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for each row, a function of the row and the key alone.

    Source: the mixing function of SplitMix64 (Steele, Lea & Flood, Fast splittable pseudorandom number generators,
    OOPSLA 2014), applied once for each word of the key.
    """
    return (keyed_words(rows, *key) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def keyed_words(rows: Indices, *key: int) -> NDArray[np.uint64]:
    """64 random bits for each row, of which ``keyed_uniform`` makes a number."""
    state = rows.astype(np.uint64)
    for word in key:
        state = _mix(state ^ _mix(np.array([word & WORD], np.uint64)))
    return state


def keyed_grid(rows: Indices, n: int, *key: int) -> NDArray[np.uint64]:
    """The words of n places in each row, (len(rows), n): place i has ``keyed_words(rows, *key, i)``."""
    return _mix(keyed_words(rows, *key)[:, None] ^ _mix(np.arange(n, dtype=np.uint64)))


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


class KeyedBatches(Sampler[Key]):
    """The keys of all batches, without end: batch b of an epoch is rows [bB, (b+1)B) of its permutation.

    Rank r takes the r-th part of each. Where an iteration takes several batches, they come as one, one after the other.

    Args:
        n: rows of the set; those that fill no batch wait for another epoch.
        batch_size: B, over all ranks.
        seed: with the epoch, determines the order.
        rank, world_size: which part is taken.
        start: the iteration to begin with, counted over all epochs.
        batches: that an iteration takes.

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
            raise UserError(f"The training set has {n} examples, fewer than {wanted}: give a smaller one.")
        if batch_size % world_size:
            raise UserError(
                f"batch_size={batch_size} cannot be shared by {world_size} devices: give a multiple of them."
            )
        self.n, self.batch_size, self.batches, self.seed, self.start = n, batch_size, batches, seed, start
        self.part, self.rank = batch_size // world_size, rank
        self.per_epoch = n // (batch_size * batches)

    def __iter__(self) -> Iterator[Key]:
        epoch, done = divmod(self.start, self.per_epoch)
        mine = slice(self.rank * self.part, (self.rank + 1) * self.part)
        while True:
            order = permutation(self.n, self.seed, epoch)
            rows = order[: self.per_epoch * self.batches * self.batch_size]
            for taken in rows.reshape(self.per_epoch, self.batches, self.batch_size)[done:]:
                yield epoch, taken[:, mine].reshape(-1)
            epoch, done = epoch + 1, 0


class Abreast(Sampler[Mapping[str, Key]]):
    """Keys from several sets at once, each in its own order; an epoch is as long as the longest of theirs.

    Args:
        streams: by name.
    """

    def __init__(self, streams: Mapping[str, KeyedBatches]) -> None:
        self.streams = streams
        self.per_epoch = max(stream.per_epoch for stream in streams.values())

    def __iter__(self) -> Iterator[Mapping[str, Key]]:
        for keys in zip(*self.streams.values(), strict=True):
            yield dict(zip(self.streams, keys, strict=True))


def position(trainer: Any) -> dict[str, int]:
    """Where ``KeyedBatches`` begin, for which rank, and how many an iteration takes: as the trainer's module says."""
    if trainer is None:
        return {}
    module = trainer.lightning_module
    counts = {"start": getattr(module, "iteration", 0), "batches": getattr(module, "batches_per_iteration", 1)}
    return {"rank": trainer.global_rank, "world_size": trainer.world_size, **counts}


class KeyedLoader(DataLoader[Any]):
    """A DataLoader over keyed batches: endless, for a run's length is its budget, and begun anywhere.

    Which batch comes when follows from how many came before, so a resumed run starts at its own count of iterations;
    Lightning's count of epochs, which falls behind where a run is resumed from an epoch's last batch, plays no part.

    Args:
        data: makes a batch from a key.
        batches: the keys.
        workers: processes that make batches ahead.

    Attributes:
        per_epoch: batches in an epoch.
    """

    def __init__(self, data: Keyed, batches: Keys, workers: int = 0) -> None:
        super().__init__(
            data,  # type: ignore[arg-type]
            batch_size=None,
            sampler=batches,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_as_is,  # type: ignore[arg-type]
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # its own, for an iterator's beginning would move the global one
        )
        self.per_epoch = batches.per_epoch

    def __len__(self) -> int:
        raise TypeError("This loader has no end: per_epoch counts the batches of an epoch.")


def _as_is(batch: Batch) -> Batch:
    return batch
