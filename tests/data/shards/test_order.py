"""The order of shards: each image at most once in an epoch, the same batches on any number of ranks."""

from itertools import islice, pairwise

import numpy as np
import pytest

from gan_lab.common.errors import UserError
from gan_lab.data.shards.order import EpochOrder, ShardBatchSampler

COUNTS = np.array([7, 13, 1, 20, 9])


def batches(n, counts=COUNTS, **options):
    options = {"batch_size": 6, "seed": 3, "lanes": 2, "window": 9} | options
    return [(epoch, rows.tolist()) for epoch, rows in islice(ShardBatchSampler(counts, **options), n)]


def test_positions_of_an_epoch_are_all_rows_shard_after_shard():
    rows = EpochOrder(COUNTS, 3, 1).rows(np.arange(50))
    assert sorted(rows) == list(range(50))
    starts = np.cumsum(COUNTS) - COUNTS
    breaks = [row for before, row in pairwise(rows) if row != before + 1]
    assert len(breaks) <= len(COUNTS) and sum(row in starts for row in breaks) >= len(breaks) - 1


@pytest.mark.parametrize("options", [{}, {"lanes": 8, "window": 1}, {"batch_size": 50}, {"batches": 2}, {"lanes": 1}])
def test_an_epoch_has_each_image_at_most_once_and_leaves_out_less_than_a_batch_of_lanes(options):
    sampler = ShardBatchSampler(COUNTS, **{"batch_size": 6, "seed": 3, "lanes": 2, "window": 9} | options)
    found = batches(2 * sampler.per_epoch, **options)
    for epoch in (0, 1):
        rows = [row for number, some in found if number == epoch for row in some]
        assert len({*rows}) == len(rows) and {*rows} <= {*range(50)}
        per_iteration = options.get("batch_size", 6) * options.get("batches", 1)
        assert len(rows) == sampler.per_epoch * per_iteration > 50 - per_iteration - sampler.lanes
    assert found[0][1] != found[sampler.per_epoch][1]


def test_seeds_and_epochs_have_other_orders_and_over_epochs_every_image_is_used():
    assert batches(5) == batches(5) != batches(5, seed=4)
    assert {row for _, rows in batches(80) for row in rows} == {*range(50)}


@pytest.mark.parametrize("batches_each", [1, 2])
@pytest.mark.parametrize("world", [2, 3, 6])
def test_ranks_share_the_batches_of_one(world, batches_each):
    whole = batches(12, batches=batches_each)
    parts = [batches(12, batches=batches_each, rank=rank, world_size=world) for rank in range(world)]
    for number, (epoch, rows) in enumerate(whole):
        assert {part[number][0] for part in parts} == {epoch}
        split = [np.array(part[number][1]).reshape(batches_each, -1) for part in parts]
        assert np.concatenate(split, 1).reshape(-1).tolist() == rows


@pytest.mark.parametrize("start", [1, 4, 8, 9, 17])
def test_a_run_goes_on_at_any_iteration(start):
    assert batches(20)[start:] == batches(20 - start, start=start)
    sampler = ShardBatchSampler(COUNTS, 6, 3, 2, 9)
    sampler.start_at(start)
    assert [rows.tolist() for _, rows in islice(sampler, 3)] == [rows for _, rows in batches(20)[start : start + 3]]


def test_a_rank_reads_the_shards_of_its_own_lanes():
    counts = np.full(16, 100)
    for rank in range(2):
        rows = [row for _, some in batches(40, counts, batch_size=16, lanes=8, rank=rank, world_size=2) for row in some]
        assert len({row // 100 for row in rows}) <= 9 + 4  # eight of its own, and those that two lanes share


def test_neighbours_are_in_random_order():
    rows = np.array([row for _, some in batches(16, np.array([960]), batch_size=60, window=96) for row in some])
    assert abs(np.corrcoef(np.arange(96), np.argsort(rows[:96]))[0, 1]) < 0.9
    assert (np.diff(np.sort(rows)) > 0).all()


@pytest.mark.parametrize(("options", "said"), [({"batch_size": 60}, "fewer than 1 x batch_size=60"),
                                               ({"world_size": 4}, "cannot be shared by 4 devices")])  # fmt: skip
def test_what_cannot_be_shared_is_refused(options, said):
    with pytest.raises(UserError, match=said):
        batches(1, **options)


def test_the_time_and_memory_to_begin_do_not_grow_with_the_images():
    counts = np.full(16_000, 62_500)  # 10⁹ images in shards of half a GiB at 64 px
    sampler = ShardBatchSampler(counts, 256, 0, start=3_000_000)
    rows = [*islice(sampler, 20)]
    assert len(rows) == 20 and max(each.max() for _, each in rows) < 10**9
