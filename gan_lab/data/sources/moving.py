"""Moving digits: Moving MNIST, drawn without end.

Source: Srivastava, Mansimov & Salakhutdinov, Unsupervised learning of video representations using LSTMs, ICML 2015,
sec. 4.2: digits move through a frame of 64 × 64, each with a random start and velocity, and bounce off its borders.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import inf, pi
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gan_lab.common.errors import UserError
from gan_lab.data.loading.cache import Rendered, render
from gan_lab.data.loading.keyed import Key, keyed_uniform
from gan_lab.data.loading.splits import SPLITS, check_counts, train_and_test
from gan_lab.data.modules.clips import Clips, Stored
from gan_lab.data.reading.frames import read_array
from gan_lab.data.reading.pictures import Bytes, Frame, Indices
from gan_lab.data.sources.arrays import Digits
from gan_lab.data.sources.torchvision_sets import MNIST

VERSION = 1  # of what a key stands for
SIDE = 28
DIGIT, TOP, LEFT, DIRECTION, SPEED = range(5)
"""What a number is drawn for."""
PROBED, ALIKE = 20, 0.9  # of a file, to tell time from clips: so many of each, which differ less by this factor


class Moving:
    """Clips of digits, each a function of (seed, epoch, row) (satisfies ``Clips``).

    Args:
        pool: the digits: pixels uint8 (K, 1, 28, 28), and their classes.
        count: clips in an epoch.
        shape: (T, H, W) of a clip.
        digits: in a clip.
        speed: least and most, in pixels a frame.
        seed: see above.
        split: its number; clips of another have other draws.
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
        self.pixels, self.labels = cast(Bytes, pool.pixels)[:, 0], cast(Indices, pool.labels)
        self.count, self.shape, self.digits, self.speed = count, shape, digits, speed
        self.seed, self.split = seed, split

    def __len__(self) -> int:
        return self.count

    def take(self, epoch: int, rows: Indices) -> Bytes:
        """The clips, uint8 (n, T, 1, H, W): where digits overlap, the brighter pixel is seen."""
        frames = np.zeros((len(rows), *self.shape), np.uint8)
        windows = sliding_window_view(frames, (SIDE, SIDE), (2, 3), writeable=True)
        clips, times = np.arange(len(rows))[:, None], np.arange(self.shape[0])
        top, left = np.moveaxis(self.places((epoch, rows)), -1, 0)
        for number, chosen in enumerate(self._chosen((epoch, rows)).T):
            place = clips, times, top[:, number], left[:, number]
            windows[place] = np.maximum(windows[place], self.pixels[chosen][:, None])
        return frames[:, :, None]

    def places(self, key: Key) -> Indices:
        """The row and column of each digit's upper left corner in every frame, (n, digits, T, 2)."""
        direction = 2 * pi * self._drawn(key, DIRECTION)
        speed = self.speed[0] + (self.speed[1] - self.speed[0]) * self._drawn(key, SPEED)
        room = np.array(self.shape[1:]) - SIDE
        start = room * np.stack([self._drawn(key, TOP), self._drawn(key, LEFT)], -1)
        velocity = np.stack([speed * np.sin(direction), speed * np.cos(direction)], -1)
        travelled = velocity[:, :, None] * np.arange(self.shape[0])[:, None]
        return np.rint(_reflected(start[:, :, None] + travelled, room)).astype(np.int64)

    def classes_of(self, key: Key) -> Indices:
        """Which digits are in the clips of a key, int64 (n, digits)."""
        return self.labels[self._chosen(key)]

    @property
    def classes(self) -> int:
        return 10 if self.digits == 1 else 0

    def label(self, epoch: int, rows: Indices) -> Indices | None:
        """Of clips of one digit each."""
        return self.classes_of((epoch, rows))[:, 0] if self.classes else None

    def _chosen(self, key: Key) -> Indices:
        return (self._drawn(key, DIGIT) * len(self.pixels)).astype(np.int64)

    def _drawn(self, key: Key, what: int) -> NDArray[np.float64]:
        """Uniform numbers in [0, 1), (n, digits)."""
        epoch, rows = key
        drawn = [keyed_uniform(rows, self.seed, epoch, self.split, what, number) for number in range(self.digits)]
        return np.stack(drawn, 1)

    def fingerprint(self) -> str:
        """A hash of all that the clips are drawn from."""
        facts = VERSION, self.count, self.shape, self.digits, self.speed, self.seed, self.split
        return blake2b(f"{facts}".encode() + self.pixels.tobytes(), digest_size=16).hexdigest()

    def summary(self) -> str:
        return f"{self.count:,} clips of {self.digits} of {len(self.pixels):,} digits, drawn"


def _reflected(path: NDArray[np.float64], room: Indices) -> NDArray[np.float64]:
    """Straight paths (…, 2), folded into [0, room] at both ends."""
    return cast(NDArray[np.float64], room - np.abs(path % (2 * room) - room))


class MovingDigits:
    """MNIST's digits in motion, or scikit-learn's (satisfies ``ClipSource``).

    Training clips have training digits, and test clips the others. The test clips are the same for every seed.

    Args:
        root: where MNIST is, or shall be; None takes the 1,797 digits that come with scikit-learn, scaled from 8 × 8 to
            28 × 28 by bicubic, a tenth of them held out.
        count: training clips in an epoch.
        test_count: clips of the test split.
        digits: in a clip.
        speed: least and most of a digit, in pixels a frame.
        test_file: an .npy or .npz of uint8 (T, N, H, W), as Moving MNIST is published, in place of the test split; its
            first frames are taken.
        split_seed: of the test clips, and of the digits held out.

    Raises:
        UserError: for a value that cannot work.
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
        self.digits, self.speed, self.split_seed = digits, _bounds(speed), split_seed
        self.test_file = None if test_file is None else Path(test_file).expanduser()

    @property
    def facts(self) -> Mapping[str, Any]:
        test = None if self.test_file is None else self.test_file.name
        digits = type(self.source).__name__
        return {
            "from": digits,
            "digits": self.digits,
            "speed": list(self.speed),
            "split_seed": self.split_seed,
            "test": test,
        }

    def splits(self, frame: Frame, length: int, seed: int) -> dict[str, Clips]:
        """Both splits.

        Raises:
            UserError: for colours, frames without room for a digit to move, MNIST that is not to be had, and a test
                file that does not fit.
        """
        if frame.channels != 1 or min(frame.box) <= SIDE:
            raise UserError(
                f"Moving digits are grey, and of {SIDE}×{SIDE} pixels in a larger frame: give data.channels=1 and "
                "such as data.size=64."
            )
        pools = train_and_test(self.source.splits(), "moving digits", None, self.split_seed)
        made: dict[str, Clips] = {}
        for number, split in enumerate(SPLITS):
            pool = render(pools[split], Frame((SIDE, SIDE), (SIDE, SIDE), 1), "memory")
            own, shape = (seed, self.split_seed)[number], (length, *frame.box)
            made[split] = Moving(pool, self.counts[split], shape, self.digits, self.speed, own, number)
        return made if self.test_file is None else {**made, "test": read_test_file(self.test_file, frame, length)}


def _bounds(speed: Sequence[float]) -> tuple[float, float]:
    """Least and most, if they are."""
    pair = list(speed) if isinstance(speed, Sequence) else []
    if len(pair) != 2 or not all(type(each) in (int, float) for each in pair) or not 0 <= pair[0] <= pair[1] < inf:
        raise UserError(f"data.speed={speed} does not serve: give least and most pixels a frame, such as [2,5].")
    return float(pair[0]), float(pair[1])


def read_test_file(path: Path, frame: Frame, length: int) -> Stored:
    """The first ``length`` frames of the clips in a file of uint8 (T, N, H, W).

    Raises:
        UserError: if it is not such a file, or its clips are shorter or of another size.
    """
    stored, (height, width) = read_array(path, "arr_0"), frame.box
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
            f"data.test_file={path} has shape {stored.shape}, which evidently is (N, T, H, W): give (T, N, H, W), as "
            "numpy.swapaxes(frames, 0, 1) makes it."
        )
    if len(stored) < length:
        raise UserError(
            f"data.test_file={path} has clips of {len(stored)} frames, fewer than data.length={length}: "
            f"give data.length={len(stored)} or less, or another file."
        )
    return Stored(stored[:length].swapaxes(0, 1)[:, :, None], f"from {path.name}")


def _clips_come_first(stored: Bytes, length: int) -> bool:
    """Whether the first axis is evidently not time: it is too short for it, neighbours on the second are more alike,
    or, where that cannot be told, it is the longer one.
    """
    if min(stored.shape[:2]) < max(2, length):
        return stored.shape[0] < length <= stored.shape[1]
    part = stored[:PROBED, :PROBED].astype(np.float32)
    first, second = (np.abs(np.diff(part, axis=axis)).mean() for axis in (0, 1))
    if min(first, second) < ALIKE * max(first, second):
        return bool(second < first)
    return stored.shape[0] > stored.shape[1]
