"""Clips that are an array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from gan_lab.common.wording import counted
from gan_lab.data.checks import check_counts
from gan_lab.data.loading.splits import SPLITS
from gan_lab.data.reading.clip_sets import ClipSet
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array


@dataclass(frozen=True)
class ArrayClips:
    """Clips in one array (satisfies ``ClipSet``).

    Args:
        frames: uint8 (N, T, C, H, W).
        description: of the clips, for a summary.
        labels: classes, int64 (N,), or None.
        classes: K, the number of classes; 0 without labels.
        class_names: names of the classes, in the order of their numbers; empty if they are not known.
    """

    frames: UInt8Array
    description: str
    labels: Int64Array | None = None
    classes: int = 0
    class_names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, epoch: int, rows: Int64Array) -> UInt8Array:
        return np.array(self.frames[rows])

    def label(self, epoch: int, rows: Int64Array) -> Int64Array | None:
        return None if self.labels is None else self.labels[rows]

    def fingerprint(self) -> str:
        digest = blake2b(f"{self.frames.shape}".encode(), digest_size=16)
        for clip in self.frames:
            digest.update(np.ascontiguousarray(clip).data)
        return digest.hexdigest()

    def summary(self) -> str:
        return f"{counted(len(self), 'clip')}, {self.description}"


class FakeClips:
    """Clips of random pixels, for tests (satisfies ``ClipSource``).

    Args:
        count: clips of the training split; the test split has half as many.
        classes: K, classes that clips have in turn; 0 for clips without classes.

    Raises:
        UserError: unless there is at least one clip.
    """

    facts: Mapping[str, object] = {}

    def __init__(self, count: int, classes: int = 0) -> None:
        check_counts(count=count)
        self.count, self.classes = count, classes

    def splits(self, spec: ResizeSpec, length: int, seed: int) -> dict[str, ClipSet]:
        counts, shape = (self.count, max(1, self.count // 2)), (length, spec.channels, *spec.target_size)
        return {split: self._clips(counts[number], shape, number) for number, split in enumerate(SPLITS)}

    def _clips(self, count: int, shape: tuple[int, ...], seed: int) -> ArrayClips:
        pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
        labels = np.arange(count) % self.classes if self.classes else None
        return ArrayClips(pixels, "random pixels", labels, self.classes)
