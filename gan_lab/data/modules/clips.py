"""The data module of clips: what training, metrics and callbacks see of a set of sequences."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.capabilities import Identity
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.types import Batch
from gan_lab.data.checks import check_choice, check_counts, parse_size
from gan_lab.data.loading.batches import FLIP
from gan_lab.data.loading.keyed_random import keyed_uniform
from gan_lab.data.loading.loader import EpochBatchSampler, Key, KeyedLoader, sampler_position
from gan_lab.data.loading.splits import SPLITS
from gan_lab.data.reading.clip_sets import ClipSet, ClipSource
from gan_lab.data.reading.resize import ResizeSpec

CLIPS_PER_BATCH = 32
"""Clips that metrics get at once."""


class ClipBatches:
    """Batches with ``frames`` uint8 (n, T, C, H, W) and, for clips with classes, ``label`` int64 (n,).

    Satisfies ``BatchDataset``.

    Args:
        clips: the training split.
        flip: mirrors each clip with probability 1/2, all of its frames alike.
        seed: determines the flips, together with epoch and row.
    """

    def __init__(self, clips: ClipSet, flip: bool, seed: int) -> None:
        self.clips, self.flip, self.seed = clips, flip, seed

    def __getitem__(self, key: Key) -> Batch:
        epoch, rows = key
        frames = self.clips.take(epoch, rows)
        if self.flip:
            flipped = keyed_uniform(rows, self.seed, epoch, FLIP) < 0.5
            frames[flipped] = frames[flipped][..., ::-1]
        label = self.clips.label(epoch, rows)
        return {"frames": torch.from_numpy(frames)} | ({} if label is None else {"label": torch.from_numpy(label)})


class ClipsDataModule(LightningDataModule):
    """Clips of one set in batches with ``frames`` float32 (N, T, C, H, W) in [-1, 1].

    Satisfies ``gan_lab.common.capabilities.RealClips``.

    Args:
        source: where the clips come from.
        name: of the set, in logs and run folders.
        channels: 1 or 3; frames are converted.
        size: side in pixels, or [H, W].
        length: T, frames per clip.
        batch_size: over all ranks.
        seed: of the order, the flips, and random training clips.
        flip: mirrors clips horizontally at random.
        workers: processes that make batches.
        classes: K, if each clip has a class, which batches then have as ``label``; 0 for clips without classes.

    Raises:
        UserError: for invalid values, and, when the data are read, for what the source refuses.
    """

    def __init__(
        self,
        source: ClipSource,
        name: str,
        channels: PositiveInt,
        size: PositiveInt | Sequence[PositiveInt],
        length: PositiveInt,
        batch_size: PositiveInt,
        seed: Seed = 0,
        flip: bool = False,
        workers: Natural = 0,
        classes: Natural = 0,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, length=length, batch_size=batch_size)
        self.source, self.name, self.channels, self.classes = source, name, channels, classes
        self.height, self.width = self.size = parse_size(size)
        self.length, self.batch_size, self.seed, self.flip, self.workers = length, batch_size, seed, flip, workers

    @cached_property
    def splits(self) -> Mapping[str, ClipSet]:
        """The clips of "train" and "test", read on first use.

        Raises:
            UserError: if the training clips have another number of classes than stated.
        """
        splits = self.source.splits(ResizeSpec(self.size, self.size, self.channels), self.length, self.seed)
        known = splits["train"].classes
        if self.classes not in (0, known):
            has = f"have {known} classes" if known else "have no classes; clips of one moving digit have 10"
            raise UserError(f"data.classes={self.classes} is not valid, because these clips {has}: give {known}.")
        return splits

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their numbers; empty if they are not known, or not used."""
        return list(getattr(self.splits["train"], "class_names", ())) if self.classes else []

    def _split(self, split: str) -> ClipSet:
        check_choice("split", split, SPLITS)
        return self.splits[split]

    def prepare_data(self) -> None:
        """Downloads and decodes what is missing, on one rank, and logs a summary."""
        for split in SPLITS:
            rank_zero_info(f"Data {self.name}, {split}: {self.splits[split].summary()}.")

    def setup(self, stage: str) -> None:
        assert self.splits

    def train_dataloader(self) -> KeyedLoader:
        """Returns batches of this rank's part, from the module's ``iteration`` on; see ``KeyedLoader``.

        Raises:
            UserError: if there are fewer clips than a batch takes, or the ranks cannot share one evenly.
        """
        clips = self.splits["train"]
        batches = EpochBatchSampler(len(clips), self.batch_size, self.seed, **sampler_position(self.trainer))
        return KeyedLoader(ClipBatches(clips, self.flip, self.seed), batches, self.workers, self.trainer)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return {**batch, "frames": to_float(batch["frames"])}

    def clips(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Yields batches uint8 (n, T, C, H, W) of at most ``limit`` clips in a fixed order, without random transforms.

        The training split of an endless set is its first epoch.
        """
        clips = self._split(split)
        count = len(clips) if limit is None else min(limit, len(clips))
        for start in range(0, count, CLIPS_PER_BATCH):
            yield torch.from_numpy(clips.take(0, np.arange(start, min(start + CLIPS_PER_BATCH, count))))

    def count(self, split: str) -> int:
        """Returns the number of clips in a split."""
        return len(self._split(split))

    def fingerprint(self, split: str) -> str:
        """Returns a hash of what ``clips`` yields. Statistics of real clips are cached under it."""
        return self._split(split).fingerprint()

    def identities(self) -> dict[str, Identity]:
        """Returns what "train" and "test" are known again by, classes included: of an endless set those of an epoch."""
        return {split: self._identity(split) for split in SPLITS}

    def _identity(self, split: str) -> Identity:
        labels = self._split(split).label(0, np.arange(self.count(split))) if self.classes else None
        known: Identity = {"count": self.count(split), "hash": self.fingerprint(split)}
        return known if labels is None else known | {"labels": blake2b(labels.tobytes(), digest_size=16).hexdigest()}

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol."""
        return {
            "name": self.name,
            "size": [self.height, self.width],
            "channels": self.channels,
            "length": self.length,
            "flip": self.flip,
            **self.source.facts,
            "splits": {s: {"count": self.count(s), "found": self.splits[s].summary()} for s in SPLITS},
            **({"class_names": self.class_names} if self.class_names else {}),
        }
