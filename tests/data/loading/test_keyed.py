from itertools import islice

import numpy as np
import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.data.loading.batches import PictureBatches
from gan_lab.data.loading.cache import Rendered
from gan_lab.data.loading.keyed import KeyedBatches, KeyedLoader, keyed_uniform, permutation
from gan_lab.data.reading.pictures import Frame, Scan

N, BATCH = 23, 4
LENGTH = N // BATCH


class Rows:
    """Batches that show what they were made from."""

    def __getitem__(self, key):
        epoch, rows = key
        return {"epoch": torch.full((len(rows),), epoch), "rows": torch.from_numpy(rows)}


def loader(workers=0, rank=0, world_size=1, seed=5, start=0):
    return KeyedLoader(Rows(), KeyedBatches(N, BATCH, seed, rank, world_size, start), workers)


def rows(batches, count=LENGTH):
    return [batch["rows"].tolist() for batch in islice(batches, count)]


def epoch_of(made, epoch):
    made.sampler.start = epoch * LENGTH
    return rows(made)


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
    singly = rows(KeyedLoader(Rows(), KeyedBatches(N, BATCH, 5)), 4)
    doubly = [
        rows(KeyedLoader(Rows(), KeyedBatches(N, BATCH, 5, r, w, batches=2)), 2) for r, w in [(0, 1), (0, 2), (1, 2)]
    ]
    assert doubly[0] == [singly[0] + singly[1], singly[2] + singly[3]]
    for whole, mine, others in zip(*doubly, strict=True):
        assert whole == mine[:2] + others[:2] + mine[2:] + others[2:]
    late = KeyedLoader(Rows(), KeyedBatches(N, BATCH, 5, start=1, batches=2))
    assert rows(late, 1) == doubly[0][1:]
    with pytest.raises(UserError, match="fewer than 2 batches of batch_size=4"):
        KeyedBatches(7, 4, 0, batches=2)


def test_what_cannot_make_a_batch_is_refused():
    with pytest.raises(UserError, match="3 examples, fewer than batch_size=4"):
        KeyedBatches(3, 4, 0)
    with pytest.raises(UserError, match="batch_size=4 cannot be shared by 3 devices"):
        KeyedBatches(30, 4, 0, 0, 3)


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    rows(loader())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [1, LENGTH - 1, LENGTH, LENGTH + 3])
def test_it_can_begin_anywhere(workers, start):
    whole = rows(loader(), 3 * LENGTH)
    assert whole == [batch for epoch in range(3) for batch in epoch_of(loader(), epoch)]
    assert rows(loader(workers, start=start), LENGTH) == whole[start : start + LENGTH]


def test_keyed_numbers_are_uniform_and_independent():
    rows = np.arange(40_000)
    draws = [keyed_uniform(rows, *key) for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]]
    for draw in draws:
        assert draw.min() >= 0 and draw.max() < 1
        counts = np.histogram(draw, 20, (0, 1))[0]
        assert ((counts - 2000) ** 2 / 2000).sum() < 45  # chi-squared, 19 degrees of freedom: p = 0.0007
        assert abs(np.corrcoef(draw[:-1], draw[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(draws) - np.eye(4)).max() < 0.02
    assert np.array_equal(keyed_uniform(rows[::-1], 0, 0, 0), draws[0][::-1])


def splitmix64(state):
    """One output of the published generator, in Python's own integers."""
    state = (state + 0x9E3779B97F4A7C15) % 2**64
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
    return state ^ state >> 31


def test_keyed_numbers_are_those_of_splitmix64():
    assert splitmix64(0) == 0xE220A8397B1DCDAF  # the published first output of seed 0
    for row, seed, epoch in [(0, 0, 0), (7, 123, 4), (2**40, -1, 10**6)]:
        state = splitmix64(splitmix64(row ^ splitmix64(seed % 2**64)) ^ splitmix64(epoch))
        assert keyed_uniform(np.array([row]), seed, epoch)[0] == (state >> 11) / 2**53


def test_permutations_are_fair():
    """Every row comes first about equally often."""
    firsts = np.bincount([permutation(10, 0, epoch)[0] for epoch in range(5000)], minlength=10)
    assert ((firsts - 500) ** 2 / 500).sum() < 30  # chi-squared, 9 degrees of freedom: p = 0.0004


def pictures(size, box, n=64, labels=None):
    pixels = np.random.default_rng(0).integers(0, 256, (n, 3, *box), np.uint8)
    frame = Frame(size, box, 3)
    return Rendered(pixels, np.zeros((n, 16), np.uint8), labels, Scan(), frame)


def test_random_crops_are_windows_that_depend_on_epoch_and_row_alone():
    rendered = pictures((6, 5), (8, 9))
    data = PictureBatches(rendered, flip=False, seed=3)
    order = np.random.default_rng(1).permutation(64)
    image = data[2, order]["image"].numpy()
    assert image.shape == (64, 3, 6, 5) and image.dtype == np.uint8
    offsets = set()
    for row, found in zip(order, image, strict=True):
        windows = {
            (top, left): rendered.pixels[row, :, top : top + 6, left : left + 5]
            for top in range(3)
            for left in range(5)
        }
        offsets |= {offset for offset, window in windows.items() if np.array_equal(window, found)}
    assert len(offsets) == 15
    assert torch.equal(data[2, order[10:11]]["image"][0], torch.from_numpy(image[10]))
    assert not torch.equal(data[3, order]["image"], data[2, order]["image"])


def test_flips_mirror_half_of_the_pictures():
    rendered = pictures((4, 4), (4, 4), n=2000, labels=np.arange(2000))
    batch = PictureBatches(rendered, flip=True, seed=0)[0, np.arange(2000)]
    mirrored = (batch["image"].numpy() == rendered.pixels[..., ::-1]).all((1, 2, 3))
    kept = (batch["image"].numpy() == rendered.pixels).all((1, 2, 3))
    assert (mirrored | kept).all() and 900 < mirrored.sum() < 1100
    assert batch["label"].tolist() == list(range(2000)) and batch["label"].dtype == torch.int64
    assert (PictureBatches(rendered, flip=False, seed=0)[0, np.arange(9)]["image"].numpy() == rendered.pixels[:9]).all()
