"""Random numbers that are functions of a key: the same in every process and in every version of every library.

Source: the mixing function of SplitMix64 (Steele, Lea & Flood, Fast splittable pseudorandom number generators, OOPSLA
2014), applied once for each word of the key.
"""

import numpy as np
from numpy.typing import NDArray

from gan_lab.data.types import Int64Array

WORD = 2**64 - 1
"""Largest word of a key."""


def permutation(n: int, *key: int) -> Int64Array:
    """Returns a permutation of n rows, int64 (n,)."""
    return np.argsort(keyed_uniform(np.arange(n), *key), kind="stable")


def keyed_uniform(rows: Int64Array, *key: int) -> NDArray[np.float64]:
    """Returns a uniform number in [0, 1) for each row, float64 (n,), which depends on the row and the key alone."""
    return (keyed_words(rows, *key) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def keyed_words(rows: Int64Array, *key: int) -> NDArray[np.uint64]:
    """Returns 64 random bits for each row, uint64 (n,), from which ``keyed_uniform`` computes its numbers."""
    state = rows.astype(np.uint64)
    for word in key:
        state = _mix(state ^ _mix(np.array([word & WORD], np.uint64)))
    return state


def keyed_grid(rows: Int64Array, n: int, *key: int) -> NDArray[np.uint64]:
    """Returns words for n places in each row, uint64 (len(rows), n): place i has ``keyed_words(rows, *key, i)``."""
    return _mix(keyed_words(rows, *key)[:, None] ^ _mix(np.arange(n, dtype=np.uint64)))


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
