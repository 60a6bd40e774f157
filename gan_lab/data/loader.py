"""Batches whose order and random transforms are functions of (seed, epoch, index): the same on any number of ranks and
workers, and from whatever batch a run is resumed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler

from gan_lab.data.pictures import Indices
from gan_lab.types import Batch, UserError

Key = tuple[int, Indices]
"""What a batch is made from: the epoch and the rows (n,) of the set."""

WORD = 2**64 - 1


class Keyed(Protocol):
    """A set that makes a whole batch at once, its random transforms from (epoch, row) alone."""

    def __getitem__(self, key: Key) -> Batch: ...


def permutation(n: int, *key: int) -> Indices:
    """An order of n rows, int64 (n,): the same in every version of every library."""
    return np.argsort(keyed_uniform(np.arange(n), *key), kind="stable")


def keyed_uniform(rows: Indices, *key: int) -> NDArray[np.float64]:
    """A uniform number in [0, 1) for each row, a function of the row and the key alone.

    Source: the mixing function of SplitMix64 (Steele, Lea & Flood, Fast splittable pseudorandom number generators,
    OOPSLA 2014), applied once for each word of the key.
    """
    state = rows.astype(np.uint64)
    for word in key:
        state = _mix(state ^ _mix(np.array([word & WORD], np.uint64)))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


class KeyedBatches(Sampler[Key]):
    """The keys of an epoch's batches: rows [bB, (b+1)B) of its permutation, of which rank r takes the r-th part.

    Args:
        n: rows of the set; those that fill no batch wait for another epoch.
        batch_size: B, over all ranks.
        seed: with the epoch, determines the order.
        rank, world_size: which part is taken.

    Raises:
        UserError: if the set is smaller than a batch, or the ranks cannot share one evenly.
    """

    def __init__(self, n: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        if n < batch_size:
            raise UserError(
                f"The training set has {n} pictures, fewer than batch_size={batch_size}: give a smaller one."
            )
        if batch_size % world_size:
            raise UserError(
                f"batch_size={batch_size} cannot be shared by {world_size} devices: give a multiple of them."
            )
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self.part, self.rank = batch_size // world_size, rank
        self.epoch = self.start = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n // self.batch_size

    def __iter__(self) -> Iterator[Key]:
        order = permutation(self.n, self.seed, self.epoch)
        for batch in range(self.start, len(self)):
            first = batch * self.batch_size + self.rank * self.part
            yield self.epoch, order[first : first + self.part]


class KeyedLoader(DataLoader[Any]):
    """A DataLoader over keyed batches that knows its place in the epoch and can be put back to it.

    Args:
        data: makes a batch from a key.
        batches: the keys.
        workers: processes that make batches ahead; they stay alive between epochs.
    """

    sampler: KeyedBatches

    def __init__(self, data: Keyed, batches: KeyedBatches, workers: int = 0) -> None:
        super().__init__(
            data,  # type: ignore[arg-type]
            batch_size=None,
            sampler=batches,
            num_workers=workers,
            collate_fn=_as_is,  # type: ignore[arg-type]
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # its own, for an iterator's beginning would move the global one
        )
        self._place = (0, 0)
        self._resumed: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Begins when the first batch is asked for: Lightning makes the iterator before it says which epoch it is."""
        epoch = self.sampler.epoch
        resumed_epoch, resumed_at = self._resumed or (epoch, 0)
        self._resumed = None
        self.sampler.start = resumed_at if resumed_epoch == epoch else 0
        self._place = epoch, self.sampler.start
        for batch in super().__iter__():
            self._place = epoch, self._place[1] + 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The epoch, and how many of its batches were handed out (those that workers made ahead do not count)."""
        epoch, batches = self._resumed or self._place
        return {"epoch": epoch, "batches": batches}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """The next iteration goes on from there if it is of the same epoch; another epoch begins at its beginning."""
        self._resumed = state["epoch"], state["batches"]


def _as_is(batch: Batch) -> Batch:
    return batch
