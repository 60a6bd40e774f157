"""Frames at a constant rate, from stored frames that each stay for some time."""

from collections.abc import Sequence

import numpy as np

from gan_lab.data.types import Int64Array

MAX_REPEATS, MAX_ADDED = 1_000, 100_000
"""Most frames that one stored frame counts as, and most that the stored frames of a file count as beside themselves."""

CUT_SHORT = f"a standstill cut to {MAX_REPEATS:,} frames"

RARE, MOST = 0.1, 0.8
"""Shares of the stored frames: shorter ones are too rare to set the pace, and at least this share must fit it."""

MAX_PARTS, LONG = 10, 0.02
"""Most intervals in the usual duration; and the share of itself by which a long duration may be off."""


def frame_counts(
    durations: Sequence[float], tolerance: float, jitter: float = 0.0, shortest: float = 0.0
) -> Int64Array:
    """Returns the number of frames at a constant rate that each stored frame counts as, int64 (frames,), at least 1.

    The interval between frames is the longest of which nearly all durations are multiples: the usual shortest
    duration, or a half, a third … of it. If there is none, it is the median duration. Therefore frames of equal
    duration count once each, and a frame that stays three times as long as the others counts three times.

    Args:
        durations: of the stored frames, in any unit; 0 if it is unknown.
        tolerance: to which durations are rounded.
        jitter: how much durations differ by chance, as a share of the usual one.
        shortest: durations below it do not set the pace.
    """
    values = np.asarray(durations, np.float64)
    known = values[values > 0]
    if not len(known):
        return np.ones(len(values), np.int64)
    usual = max(float(np.quantile(known, RARE, method="lower")), shortest)
    usual += tolerance / 2 if usual < 3 * tolerance else 0  # 2 and 3 may both be 2.5
    tolerance = max(tolerance, jitter * usual)
    for parts in range(1, 1 + min(MAX_PARTS, max(1, int(usual / (3 * tolerance))))):
        counts = np.rint(known * parts / usual).clip(1)
        interval = known.sum() / counts.sum()
        allowed = np.maximum(tolerance if parts == 1 else min(tolerance, interval / 6), LONG * known)
        if np.mean(np.abs(known - counts * interval) < allowed) >= MOST:
            break
    else:
        interval = np.median(known)
    return _bounded(np.rint(values / interval).astype(np.int64))


def _bounded(counts: Int64Array) -> Int64Array:
    counts = counts.clip(1, MAX_REPEATS)
    added = np.cumsum(counts - 1)
    return np.where(added <= MAX_ADDED, counts, 1)
