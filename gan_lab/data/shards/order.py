"""The order in which a run goes through shards: a function of (seed, epoch) that takes the memory of a few shards.

In each epoch the shards are put one after another in a random order, and this sequence of images is cut into L lanes of
equal length, which are read side by side: each batch has B / L images of every lane. Within a lane, the images of each
window of W are in random order. A rank takes its part of each batch, and so reads its own lanes alone where the number
of ranks divides L; but the batches are the same on any number of ranks and workers.
"""

from collections.abc import Iterator
from math import ceil, gcd

import numpy as np
from torch.utils.data import Sampler

from gan_lab.common.errors import UserError
from gan_lab.data.loading.keyed_random import keyed_words, permutation
from gan_lab.data.loading.loader import Key
from gan_lab.data.types import Int64Array

OFFSET, WINDOW = range(2)
"""Purposes of random numbers: where the lanes of an epoch begin, and the order within windows."""


class EpochOrder:
    """The images of an epoch by their position in it.

    Args:
        counts: images of each shard, int64 (S,).
        seed, epoch: determine the order.
    """

    def __init__(self, counts: Int64Array, seed: int, epoch: int) -> None:
        self.n = int(counts.sum())
        self.order = permutation(len(counts), seed, epoch)
        self.ends = np.cumsum(counts[self.order])
        self.starts = (np.cumsum(counts) - counts)[self.order]
        self.begin = int(keyed_words(np.array([OFFSET]), seed, epoch)[0] % np.uint64(self.n))

    def rows(self, positions: Int64Array) -> Int64Array:
        """Returns the rows of the set at positions 0 … n - 1 of the epoch, of the same shape."""
        places = (positions + self.begin) % self.n
        number = np.searchsorted(self.ends, places, side="right")
        before = np.concatenate([[0], self.ends])[number]
        return self.starts[number] + places - before


class ShardBatchSampler(Sampler[Key]):
    """Endless keys of batches; see above. Has the interface of ``EpochBatchSampler``.

    Args:
        counts: images of each shard, int64 (S,).
        batch_size: B, over all ranks.
        seed: determines the order, together with the epoch.
        lanes: L; the largest number that divides both it and B is used.
        window: W, rounded up to whole batches.
        rank, world_size: which part of each batch is taken.
        start: the first iteration, counted over all epochs.
        batches: batches per iteration.

    Raises:
        UserError: if the set is smaller than an iteration takes, or the ranks cannot share a batch evenly.
    """

    def __init__(
        self,
        counts: Int64Array,
        batch_size: int,
        seed: int,
        lanes: int = 8,
        window: int = 4096,
        rank: int = 0,
        world_size: int = 1,
        start: int = 0,
        batches: int = 1,
    ) -> None:
        if batch_size % world_size:
            raise UserError(
                f"batch_size={batch_size} cannot be shared by {world_size} devices: give a multiple of {world_size}."
            )
        self.counts, self.seed, self.start, self.batches = counts, seed, start, batches
        self.lanes = gcd(lanes, batch_size)
        self.part, self.length = batch_size // self.lanes, int(counts.sum()) // self.lanes
        self.window = ceil(window / self.part) * self.part
        self.per_epoch = self.length // (self.part * batches)
        if not self.per_epoch:
            raise UserError(
                f"The training set has {counts.sum()} examples, fewer than {batches} x batch_size={batch_size}: give a "
                "smaller batch_size."
            )
        per_rank = batch_size // world_size
        self.share = slice(rank * per_rank, (rank + 1) * per_rank)

    def start_at(self, iteration: int) -> None:
        """Lets the next pass start at an iteration, counted over all epochs."""
        self.start = iteration

    def __iter__(self) -> Iterator[Key]:
        epoch, done = divmod(self.start, self.per_epoch)
        while True:
            parts = self._parts(epoch, done * self.batches)
            for _ in range(done, self.per_epoch):
                yield epoch, np.concatenate([next(parts) for _ in range(self.batches)])
            epoch, done = epoch + 1, 0

    def _parts(self, epoch: int, batch: int) -> Iterator[Int64Array]:
        """Yields this rank's rows of each batch of an epoch, from batch number ``batch`` on."""
        order, per_window = EpochOrder(self.counts, self.seed, epoch), self.window // self.part
        first, last = self.share.start // self.part, ceil(self.share.stop / self.part)
        own = slice(self.share.start - first * self.part, self.share.stop - first * self.part)
        number, skipped = divmod(batch, per_window)
        while True:
            rows = np.stack([self._window(order, epoch, lane, number) for lane in range(first, last)])
            for place in range(skipped, rows.shape[1] // self.part):
                yield rows[:, place * self.part : (place + 1) * self.part].reshape(-1)[own]
            number, skipped = number + 1, 0

    def _window(self, order: EpochOrder, epoch: int, lane: int, number: int) -> Int64Array:
        """Returns the rows of a window of a lane, shuffled, int64 (at most W,)."""
        start = number * self.window
        size = max(0, min(self.window, self.length - start))
        shuffled = permutation(size, self.seed, epoch, WINDOW, lane, number)
        return order.rows(lane * self.length + start + shuffled)
