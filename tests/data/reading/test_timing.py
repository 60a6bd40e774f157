import numpy as np
import pytest

from gan_lab.data.reading.timing import MAX_ADDED, MAX_REPEATS, frame_counts

GIF = {"tolerance": 10, "shortest": 20}

ANIMATIONS = {
    "one": ([500], [1]),
    "without durations": ([0, 0, 0], [1, 1, 1]),
    "equal": ([83, 83, 83], [1, 1, 1]),
    "24 a second, rounded": ([40, 40, 40, 50, 40, 40], [1] * 6),
    "30 a second, rounded": ([30, 30, 40, 30, 30, 40], [1] * 6),
    "60 a second, rounded": ([10, 20, 20, 10, 20, 20], [1] * 6),
    "merged at 12 a second": ([80, 170, 80, 250, 80, 330], [1, 2, 1, 3, 1, 4]),
    "cut off at 12 a second": ([80, 160, 80, 240, 80, 320], [1, 2, 1, 3, 1, 4]),
    "drawn on twos and threes": ([200, 300, 200, 300, 300], [2, 3, 2, 3, 3]),
    "all on twos": ([166, 167, 167], [1, 1, 1]),
    "a title that stays": ([100] * 9 + [3000], [1] * 9 + [30]),
    "an unknown one": ([100, 0, 200, 100], [1, 1, 2, 1]),
    "without a common measure": ([100, 120, 100, 120], [1, 1, 1, 1]),
    "nearly three to four": ([100, 130, 100, 130], [3, 4, 3, 4]),
    "a very long one": ([40] * 9 + [600_000], [1] * 9 + [MAX_REPEATS]),
}


@pytest.mark.parametrize("case", ANIMATIONS)
def test_durations_of_an_animation(case):
    durations, counts = ANIMATIONS[case]
    assert frame_counts(durations, **GIF).tolist() == counts


@pytest.mark.parametrize("rate", [23.976, 24, 25, 29.97, 30, 50, 59.94, 60, 120, 240])
@pytest.mark.parametrize("unit", [1000, 600, 90000])
def test_frames_at_a_constant_rate_count_once_however_times_are_rounded(rate, unit):
    times = np.rint(np.arange(200) * unit / rate)
    assert (frame_counts(np.diff(times), tolerance=1, jitter=0.1) == 1).all()


def test_a_phone_that_is_out_of_step_and_leaves_frames_out():
    rng = np.random.default_rng(0)
    left_out = rng.random(300) < 0.04
    durations = np.where(left_out, 2, 1) * 3000 + rng.normal(0, 90, 300)
    assert np.array_equal(frame_counts(durations, tolerance=1, jitter=0.1), np.where(left_out, 2, 1))


def test_a_file_of_long_standstills_does_not_grow_without_end():
    durations = [20] * 100 + [60_000] * 300
    counts = frame_counts(durations, **GIF)
    assert counts.max() <= MAX_REPEATS and counts.sum() <= MAX_ADDED + len(durations)
