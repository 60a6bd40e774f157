"""The data module of clips: what training, metrics and callbacks see of a set of sequences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.types import Batch
from gan_lab.data.loading.batches import FLIP
from gan_lab.data.loading.keyed import Key, KeyedBatches, KeyedLoader, keyed_uniform, position
from gan_lab.data.loading.splits import SPLITS, check_choice, check_counts, sides
from gan_lab.data.reading.pictures import Bytes, Frame, Indices

AT_ONCE = 32  # clips that metrics see together


class Clips(Protocol):
    """The clips of one split."""

    @property
    def classes(self) -> int:
        """K, of clips that each have a class; 0 of others."""

    def __len__(self) -> int:
        """Their number; of an endless set, in an epoch."""

    def take(self, epoch: int, rows: Indices) -> Bytes:
        """The clips of these rows, uint8 (n, T, C, H, W), in memory of their own. Those of an endless set are others in
        every epoch.
        """

    def label(self, epoch: int, rows: Indices) -> Indices | None:
        """The classes of the same clips, int64 (n,); None of those without."""

    def fingerprint(self) -> str:
        """A hash: equal if and only if ``take`` gives the same."""

    def summary(self) -> str:
        """What they are, in a line."""


class ClipSource(Protocol):
    """Where clips come from."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What a protocol should know of it, in plain values."""

    def splits(self, frame: Frame, length: int, seed: int) -> Mapping[str, Clips]:
        """``{"train": …, "test": …}``.

        Args:
            frame: size and channels of the clips.
            length: T.
            seed: of what is drawn for training. The test clips never depend on it.

        Raises:
            UserError: if there are no clips, and where they could come from.
        """


@dataclass(frozen=True)
class Stored:
    """Clips that are one array (satisfies ``Clips``).

    Args:
        frames: uint8 (N, T, C, H, W).
        what: they are, in words.
        labels: their classes, int64 (N,), where they have any.
        classes: K.
    """

    frames: Bytes
    what: str
    labels: Indices | None = None
    classes: int = 0

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, epoch: int, rows: Indices) -> Bytes:
        return np.array(self.frames[rows])

    def label(self, epoch: int, rows: Indices) -> Indices | None:
        return None if self.labels is None else self.labels[rows]

    def fingerprint(self) -> str:
        digest = blake2b(f"{self.frames.shape}".encode(), digest_size=16)
        for clip in self.frames:
            digest.update(np.ascontiguousarray(clip).data)
        return digest.hexdigest()

    def summary(self) -> str:
        return f"{len(self):,} clips, {self.what}"


class FakeClips:
    """Random pixels, for tests (satisfies ``ClipSource``).

    Args:
        count: clips of the training split; the test split has half as many.
        classes: K, which clips are of in turn; 0 of clips without classes.
    """

    facts: Mapping[str, Any] = {}

    def __init__(self, count: int, classes: int = 0) -> None:
        check_counts(count=count)
        self.count, self.classes = count, classes

    def splits(self, frame: Frame, length: int, seed: int) -> dict[str, Clips]:
        counts = self.count, max(1, self.count // 2)
        return {split: self._made(counts[i], (length, frame.channels, *frame.box), i) for i, split in enumerate(SPLITS)}

    def _made(self, count: int, shape: tuple[int, ...], seed: int) -> Stored:
        pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
        labels = np.arange(count) % self.classes if self.classes else None
        return Stored(pixels, "random pixels", labels, self.classes)


class ClipBatches:
    """``frames`` uint8 (n, T, C, H, W), and of clips with classes ``label`` int64 (n,) (satisfies ``Keyed``).

    Args:
        clips: of the training split.
        flip: mirrors every second clip, by chance, all of its frames alike.
        seed: with epoch and row, determines the flips.
    """

    def __init__(self, clips: Clips, flip: bool, seed: int) -> None:
        self.clips, self.flip, self.seed = clips, flip, seed

    def __getitem__(self, key: Key) -> Batch:
        epoch, rows = key
        frames = self.clips.take(epoch, rows)
        if self.flip:
            chosen = keyed_uniform(rows, self.seed, epoch, FLIP) < 0.5
            frames[chosen] = frames[chosen][..., ::-1]
        label = self.clips.label(epoch, rows)
        return {"frames": torch.from_numpy(frames)} | ({} if label is None else {"label": torch.from_numpy(label)})


class ClipsDataModule(LightningDataModule):
    """Clips of one set in batches ``frames`` float32 (N, T, C, H, W) in [-1, 1].

    Satisfies ``gan_lab.common.capabilities.RealClips``.

    Args:
        source: where the clips come from.
        name: of the set, in logs and run folders.
        channels: 1 or 3; frames are converted.
        size: side in pixels, or [H, W].
        length: T, frames of a clip.
        batch_size: over all ranks.
        seed: of the order, the flips, and what is drawn for training.
        flip: mirrors clips from left to right at random.
        workers: processes that make batches.
        classes: K of clips that each have a class, which batches then have as ``label``; 0 of others.

    Raises:
        UserError: for a value that cannot work, and when the data are read, for what the source refuses.
    """

    def __init__(
        self,
        source: ClipSource,
        name: str,
        channels: int,
        size: int | Sequence[int],
        length: int,
        batch_size: int,
        seed: int = 0,
        flip: bool = False,
        workers: int = 0,
        classes: int = 0,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, length=length, batch_size=batch_size)
        self.source, self.name, self.channels, self.classes = source, name, channels, classes
        self.height, self.width = self.size = sides(size)
        self.length, self.batch_size, self.seed, self.flip, self.workers = length, batch_size, seed, flip, workers

    @cached_property
    def splits(self) -> Mapping[str, Clips]:
        """The clips of "train" and of "test", read now if they were not before.

        Raises:
            UserError: if other classes are stated than training clips have.
        """
        found = self.source.splits(Frame(self.size, self.size, self.channels), self.length, self.seed)
        known = found["train"].classes
        if self.classes not in (0, known):
            has = f"are of {known} classes" if known else "have no classes, as those of one moving digit do"
            raise UserError(f"data.classes={self.classes} does not serve: these clips {has}, so give {known}.")
        return found

    def _split(self, split: str) -> Clips:
        check_choice("split", split, SPLITS)
        return self.splits[split]

    def prepare_data(self) -> None:
        """Fetches and decodes what is not yet there, on one rank, and says what was found."""
        for split in SPLITS:
            rank_zero_info(f"Data {self.name}, {split}: {self.splits[split].summary()}.")

    def setup(self, stage: str) -> None:
        assert self.splits

    def train_dataloader(self) -> KeyedLoader:
        """Batches of this rank's part, without end, from the one that the module's ``iteration`` counts.

        Raises:
            UserError: if there are fewer clips than a batch takes, or the ranks cannot share one evenly.
        """
        clips = self.splits["train"]
        batches = KeyedBatches(len(clips), self.batch_size, self.seed, **position(self.trainer))
        return KeyedLoader(ClipBatches(clips, self.flip, self.seed), batches, self.workers)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return {**batch, "frames": to_float(batch["frames"])}

    def clips(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Batches uint8 (n, T, C, H, W) without random transforms, in a fixed order, ``limit`` clips at most; of an
        endless set "train" is its first epoch.
        """
        clips = self._split(split)
        count = len(clips) if limit is None else min(limit, len(clips))
        for start in range(0, count, AT_ONCE):
            yield torch.from_numpy(clips.take(0, np.arange(start, min(start + AT_ONCE, count))))

    def count(self, split: str) -> int:
        return len(self._split(split))

    def fingerprint(self, split: str) -> str:
        """A hash of what ``clips`` yields."""
        return self._split(split).fingerprint()

    def describe(self) -> dict[str, Any]:
        """Plain facts for a protocol."""
        return {
            "name": self.name,
            "size": [self.height, self.width],
            "channels": self.channels,
            "length": self.length,
            "flip": self.flip,
            **self.source.facts,
            "splits": {s: {"count": self.count(s), "found": self.splits[s].summary()} for s in SPLITS},
        }
