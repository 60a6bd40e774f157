"""Moving digits: Moving MNIST, generated endlessly.

Source: Srivastava, Mansimov & Salakhutdinov, Unsupervised learning of video representations using LSTMs, ICML 2015,
sec. 4.2: digits move through a frame of 64 × 64, each with a random start and velocity, and bounce off its borders.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import inf, pi
from pathlib import Path
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gan_lab.common.errors import UserError
from gan_lab.data.checks import check_counts
from gan_lab.data.loading.cache import render
from gan_lab.data.loading.keyed_random import keyed_uniform
from gan_lab.data.loading.loader import Key
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.loading.splits import SPLITS, train_and_test
from gan_lab.data.reading.clip_sets import ClipSet
from gan_lab.data.reading.frames import read_array
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.sources.arrays import Digits
from gan_lab.data.sources.clip_arrays import ArrayClips
from gan_lab.data.sources.torchvision_sets import MNIST
from gan_lab.data.types import Int64Array, UInt8Array

VERSION = 1
"""Version of the computation from key to clip; a part of fingerprints."""

SIDE = 28
DIGIT, TOP, LEFT, DIRECTION, SPEED = range(5)
"""Purposes of random numbers, a word of their keys."""

PROBED, ALIKE = 20, 0.9
"""To tell the axis of time in a file: frames and clips looked at, and the ratio of differences that decides."""


class MovingDigitClips:
    """Clips of moving digits, each a function of (seed, epoch, row) (satisfies ``ClipSet``).

    Args:
        pool: the digits, uint8 (K, 1, 28, 28), with their classes.
        count: clips per epoch.
        shape: (T, H, W) of a clip.
        digits: digits in a clip.
        speed: minimum and maximum, in pixels per frame.
        seed: see above.
        split: number of the split; other splits have other random numbers.
    """

    def __init__(
        self,
        pool: Rendered,
        count: int,
        shape: tuple[int, int, int],
        digits: int,
        speed: tuple[float, float],
        seed: int,
        split: int,
    ) -> None:
        self.pixels, self.labels = cast(UInt8Array, pool.pixels)[:, 0], cast(Int64Array, pool.labels)
        self.count, self.shape, self.digits, self.speed = count, shape, digits, speed
        self.seed, self.split = seed, split

    def __len__(self) -> int:
        return self.count

    def take(self, epoch: int, rows: Int64Array) -> UInt8Array:
        """Returns clips uint8 (n, T, 1, H, W); where digits overlap, the brighter pixel is seen."""
        frames = np.zeros((len(rows), *self.shape), np.uint8)
        windows = sliding_window_view(frames, (SIDE, SIDE), (2, 3), writeable=True)
        clips, times = np.arange(len(rows))[:, None], np.arange(self.shape[0])
        top, left = np.moveaxis(self.positions((epoch, rows)), -1, 0)
        for number, indices in enumerate(self._digits((epoch, rows)).T):
            place = clips, times, top[:, number], left[:, number]
            windows[place] = np.maximum(windows[place], self.pixels[indices][:, None])
        return frames[:, :, None]

    def positions(self, key: Key) -> Int64Array:
        """Returns row and column of each digit's upper left corner in every frame, int64 (n, digits, T, 2)."""
        direction = 2 * pi * self._uniform(key, DIRECTION)
        speed = self.speed[0] + (self.speed[1] - self.speed[0]) * self._uniform(key, SPEED)
        room = np.array(self.shape[1:]) - SIDE
        start = room * np.stack([self._uniform(key, TOP), self._uniform(key, LEFT)], -1)
        velocity = np.stack([speed * np.sin(direction), speed * np.cos(direction)], -1)
        travelled = velocity[:, :, None] * np.arange(self.shape[0])[:, None]
        return np.rint(_reflected(start[:, :, None] + travelled, room)).astype(np.int64)

    def classes_of(self, key: Key) -> Int64Array:
        """Returns the classes of the digits in the clips of a key, int64 (n, digits)."""
        return self.labels[self._digits(key)]

    @property
    def classes(self) -> int:
        """Clips of a single digit have its class."""
        return 10 if self.digits == 1 else 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes: the digits."""
        return tuple(map(str, range(self.classes)))

    def label(self, epoch: int, rows: Int64Array) -> Int64Array | None:
        return self.classes_of((epoch, rows))[:, 0] if self.classes else None

    def _digits(self, key: Key) -> Int64Array:
        """Indices of the digits in the pool, (n, digits)."""
        return (self._uniform(key, DIGIT) * len(self.pixels)).astype(np.int64)

    def _uniform(self, key: Key, purpose: int) -> NDArray[np.float64]:
        """Uniform numbers in [0, 1), (n, digits)."""
        epoch, rows = key
        each = [keyed_uniform(rows, self.seed, epoch, self.split, purpose, number) for number in range(self.digits)]
        return np.stack(each, 1)

    def fingerprint(self) -> str:
        """Returns a hash of everything that the clips depend on."""
        facts = VERSION, self.count, self.shape, self.digits, self.speed, self.seed, self.split
        return blake2b(f"{facts}".encode() + self.pixels.tobytes(), digest_size=16).hexdigest()

    def summary(self) -> str:
        return f"{self.count:,} clips of {self.digits} of {len(self.pixels):,} digits, generated"


def _reflected(path: NDArray[np.float64], room: Int64Array) -> NDArray[np.float64]:
    """Folds straight paths (…, 2) into [0, room], as bouncing off both ends does."""
    return cast(NDArray[np.float64], room - np.abs(path % (2 * room) - room))


class MovingDigits:
    """Moving digits of MNIST or scikit-learn (satisfies ``ClipSource``).

    Training clips have training digits, and test clips have held-out ones. Test clips are the same for every seed.

    Args:
        root: folder that has, or will get, MNIST; None takes the 1,797 digits that come with scikit-learn, resized from
            8 × 8 to 28 × 28 by bicubic interpolation, a tenth of them held out.
        count: training clips per epoch.
        test_count: clips of the test split.
        digits: digits in a clip.
        speed: minimum and maximum speed of a digit, in pixels per frame.
        test_file: an .npy or .npz of uint8 (T, N, H, W), as Moving MNIST is published, which replaces the test split;
            its first frames are taken.
        split_seed: of the test clips, and of the held-out digits.

    Raises:
        UserError: for invalid values.
    """

    def __init__(
        self,
        root: str | None,
        count: int,
        test_count: int,
        digits: int = 2,
        speed: Sequence[float] = (2.0, 5.0),
        test_file: str | None = None,
        split_seed: int = 0,
    ) -> None:
        check_counts(count=count, test_count=test_count, digits=digits)
        self.source = Digits() if root is None else MNIST(root)
        self.counts = {"train": count, "test": test_count}
        self.digits, self.speed, self.split_seed = digits, _speed_range(speed), split_seed
        self.test_file = None if test_file is None else Path(test_file).expanduser()

    @property
    def facts(self) -> Mapping[str, object]:
        test = None if self.test_file is None else self.test_file.name
        digits = type(self.source).__name__
        return {
            "from": digits,
            "digits": self.digits,
            "speed": list(self.speed),
            "split_seed": self.split_seed,
            "test": test,
        }

    def splits(self, spec: ResizeSpec, length: int, seed: int) -> dict[str, ClipSet]:
        """Returns "train" and "test".

        Raises:
            UserError: for colours, for frames in which a digit cannot move, for MNIST that cannot be downloaded, and
                for a test file that does not fit.
        """
        if spec.channels != 1 or min(spec.target_size) <= SIDE:
            raise UserError(
                f"Moving digits are grey, {SIDE}×{SIDE} pixels in a larger frame: give data.channels=1 and, for "
                "example, data.size=64."
            )
        pools = train_and_test(self.source.splits(), "moving digits", None, self.split_seed)
        splits: dict[str, ClipSet] = {}
        for number, split in enumerate(SPLITS):
            pool = render(pools[split], ResizeSpec((SIDE, SIDE), (SIDE, SIDE), 1), "memory")
            split_seed, shape = (seed, self.split_seed)[number], (length, *spec.target_size)
            splits[split] = MovingDigitClips(
                pool, self.counts[split], shape, self.digits, self.speed, split_seed, number
            )
        return splits if self.test_file is None else {**splits, "test": read_test_file(self.test_file, spec, length)}


def _speed_range(speed: Sequence[float]) -> tuple[float, float]:
    """Checks and returns the minimum and the maximum."""
    pair = list(speed) if isinstance(speed, Sequence) else []
    if len(pair) != 2 or not all(type(each) in (int, float) for each in pair) or not 0 <= pair[0] <= pair[1] < inf:
        raise UserError(
            f"data.speed={speed} is not valid: give the minimum and maximum of pixels per frame, such as [2,5]."
        )
    return float(pair[0]), float(pair[1])


def read_test_file(path: Path, spec: ResizeSpec, length: int) -> ArrayClips:
    """Reads the first ``length`` frames of the clips in a file of uint8 (T, N, H, W).

    Raises:
        UserError: if it is not such a file, or its clips are shorter or of another size.
    """
    stored, (height, width) = read_array(path, "arr_0"), spec.target_size
    if stored.dtype != np.uint8 or stored.ndim != 4:
        raise UserError(
            f"data.test_file={path} has {stored.dtype} of shape {stored.shape}: give uint8 of shape (T, N, H, W)."
        )
    if stored.shape[2:] != (height, width):
        shape = f"{stored.shape[3]}×{stored.shape[2]}"
        raise UserError(
            f"data.test_file={path} has frames of {shape}, not {width}×{height}: "
            f"give data.size=[{stored.shape[2]},{stored.shape[3]}], or another file."
        )
    if _clips_come_first(stored, length):
        raise UserError(
            f"data.test_file={path} has shape {stored.shape}, which is evidently (N, T, H, W): give (T, N, H, W), as "
            "numpy.swapaxes(frames, 0, 1) returns it."
        )
    if len(stored) < length:
        raise UserError(
            f"data.test_file={path} has clips of {len(stored)} frames, fewer than data.length={length}: "
            f"give data.length={len(stored)} or less, or another file."
        )
    return ArrayClips(stored[:length].swapaxes(0, 1)[:, :, None], f"from {path.name}")


def _clips_come_first(stored: UInt8Array, length: int) -> bool:
    """Tells whether the first axis is evidently not time.

    It is not if it is too short, if neighbours on the second axis are more alike, or, if both are equally alike, if it
    is the longer one.
    """
    if min(stored.shape[:2]) < max(2, length):
        return stored.shape[0] < length <= stored.shape[1]
    part = stored[:PROBED, :PROBED].astype(np.float32)
    first, second = (np.abs(np.diff(part, axis=axis)).mean() for axis in (0, 1))
    if min(first, second) < ALIKE * max(first, second):
        return bool(second < first)
    return stored.shape[0] > stored.shape[1]
