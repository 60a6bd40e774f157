import numpy as np

from gan_lab.data.loading.keyed_random import keyed_uniform, permutation


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
