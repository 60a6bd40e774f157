from itertools import islice

import numpy as np
import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.data.loading.loader import EpochBatchSampler, KeyedLoader

N, BATCH = 23, 4
LENGTH = N // BATCH


class Rows:
    """Batches of the keys themselves."""

    def __getitem__(self, key):
        epoch, rows = key
        return {"epoch": torch.full((len(rows),), epoch), "rows": torch.from_numpy(rows)}


def loader(workers=0, rank=0, world_size=1, seed=5, start=0):
    return KeyedLoader(Rows(), EpochBatchSampler(N, BATCH, seed, rank, world_size, start), workers)


def rows(batches, count=LENGTH):
    return [batch["rows"].tolist() for batch in islice(batches, count)]


def epoch_of(endless, epoch):
    endless.sampler.start = epoch * LENGTH
    return rows(endless)


def test_an_epoch_is_a_permutation_keyed_by_seed_and_epoch():
    orders = [np.concatenate(epoch_of(loader(seed=seed), epoch)) for seed in (5, 6) for epoch in (0, 1)]
    assert all(len(set(order)) == LENGTH * BATCH and max(order) < N for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert np.array_equal(np.concatenate(epoch_of(loader(workers=2), 1)), orders[1])


def test_ranks_share_each_batch():
    whole = epoch_of(loader(), 3)
    parts = [epoch_of(loader(rank=rank, world_size=2), 3) for rank in range(2)]
    assert [first + second for first, second in zip(*parts, strict=True)] == whole


def test_batches_of_one_iteration_follow_each_other_on_every_rank():
    """An iteration's rows are those of two batches, and a rank's its parts of the first and of the second."""
    singly = rows(KeyedLoader(Rows(), EpochBatchSampler(N, BATCH, 5)), 4)
    doubly = [
        rows(KeyedLoader(Rows(), EpochBatchSampler(N, BATCH, 5, r, w, batches=2)), 2)
        for r, w in [(0, 1), (0, 2), (1, 2)]
    ]
    assert doubly[0] == [singly[0] + singly[1], singly[2] + singly[3]]
    for whole, mine, others in zip(*doubly, strict=True):
        assert whole == mine[:2] + others[:2] + mine[2:] + others[2:]
    late = KeyedLoader(Rows(), EpochBatchSampler(N, BATCH, 5, start=1, batches=2))
    assert rows(late, 1) == doubly[0][1:]
    with pytest.raises(UserError, match="fewer than 2 batches of batch_size=4"):
        EpochBatchSampler(7, 4, 0, batches=2)


def test_impossible_batches_are_refused():
    with pytest.raises(UserError, match="3 examples, fewer than batch_size=4"):
        EpochBatchSampler(3, 4, 0)
    with pytest.raises(UserError, match="batch_size=4 cannot be shared by 3 devices"):
        EpochBatchSampler(30, 4, 0, 0, 3)


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    rows(loader())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [1, LENGTH - 1, LENGTH, LENGTH + 3])
def test_a_loader_starts_at_any_batch(workers, start):
    whole = rows(loader(), 3 * LENGTH)
    assert whole == [batch for epoch in range(3) for batch in epoch_of(loader(), epoch)]
    assert rows(loader(workers, start=start), LENGTH) == whole[start : start + LENGTH]
