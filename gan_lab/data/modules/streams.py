"""The data module of images in shards, which are read as they are needed and never all kept."""

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
from gan_lab.data.loading.batches import random_crops, random_flips
from gan_lab.data.loading.loader import Key, KeyedLoader, sampler_position
from gan_lab.data.loading.splits import SPLITS, WHOLE, with_crop_margin
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.shards.index import Rows
from gan_lab.data.shards.order import ShardBatchSampler
from gan_lab.data.shards.source import ShardReader, ShardSource
from gan_lab.data.types import UInt8Array

AT_ONCE = 1 << 20
"""Pixels of the images that are read at once in order: 256 images of 64 × 64."""


class StreamDataModule(LightningDataModule):
    """Images in shards (satisfies ``gan_lab.common.capabilities.RealImages``).

    Batches are those of ``ImageDataModule``, in the order of ``gan_lab.data.shards.order``. Start-up reads the index
    alone; memory does not depend on the number of images.

    Args:
        source: the shards.
        name: of the set, in logs and run folders.
        channels: 1 or 3; images are converted.
        classes: number of classes; 0 leaves labels out, None takes what the index states.
        size: side in pixels, or [H, W].
        batch_size: over all ranks.
        seed: of the order, the crops and the flips.
        limit: trains on this many images, the first ones.
        flip: mirrors images horizontally at random.
        crop: "center" or "random".
        workers: processes that make batches.
        lanes: parts of an epoch that are read side by side, see ``ShardBatchSampler``.
        shuffle: images of a lane that are shuffled together.

    Raises:
        UserError: for invalid values; when the index is read, for what the source refuses, and for classes that it does
            not have.
    """

    stacked = False

    def __init__(
        self,
        source: ShardSource,
        name: str,
        channels: PositiveInt,
        classes: Natural | None,
        size: PositiveInt | Sequence[PositiveInt],
        batch_size: PositiveInt,
        seed: Seed = 0,
        limit: PositiveInt | None = None,
        flip: bool = False,
        crop: str = "center",
        workers: Natural = 0,
        lanes: PositiveInt = 8,
        shuffle: PositiveInt = 4096,
    ) -> None:
        super().__init__()
        check_choice("crop", crop, ("center", "random"))
        check_counts(channels=channels, batch_size=batch_size, limit=limit, lanes=lanes, shuffle=shuffle)
        self.source, self.name, self.channels, self._classes = source, name, channels, classes
        self.height, self.width = self.size = parse_size(size)
        self.batch_size, self.workers, self.seed, self.limit = batch_size, workers, seed, limit
        self.flip, self.crop, self.lanes, self.shuffle = flip, crop, lanes, shuffle
        self._labels: dict[str, Tensor] = {}

    @property
    def classes(self) -> int:
        """The stated number of classes, or the index's if none is stated."""
        stated = self.source.index.classes
        if self._classes and stated is not None and self._classes != stated:
            raise UserError(
                f"data.classes={self._classes}, but {self.name} has {stated or 'no'} classes: give "
                f"data.classes={stated}."
            )
        return (stated or 0) if self._classes is None else self._classes

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their numbers; empty without classes, or if they have no names."""
        return list(self.source.index.class_names) if self.classes else []

    @cached_property
    def resize_spec(self) -> ResizeSpec:
        """Size and channels before random crops."""
        target_size = with_crop_margin(self.size) if self.crop == "random" else self.size
        return ResizeSpec(self.size, target_size, self.channels)

    @cached_property
    def _rows(self) -> Mapping[str, Rows]:
        return self.source.rows(self.limit)

    def _split(self, split: str) -> Rows:
        check_choice("split", split, (*SPLITS, WHOLE))
        return self._rows[split]

    def prepare_data(self) -> None:
        """Logs what was found."""
        for split in SPLITS:
            rows = self._split(split)
            shards = int((rows.counts > 0).sum())
            rank_zero_info(f"Data {self.name}, {split}: {len(rows):,} images in {shards:,} shards, read as they come.")

    def setup(self, stage: str) -> None:
        self.source.index  # noqa: B018 (what is wrong with it is said now)

    def train_dataloader(self) -> KeyedLoader:
        """Returns batches of this rank's part, from the module's ``iteration`` on; see ``KeyedLoader``.

        Raises:
            UserError: if there are fewer images than a batch takes, or the ranks cannot share one evenly.
        """
        order = self.seed, self.lanes, self.shuffle
        counts = self._split("train").counts
        batches = ShardBatchSampler(counts, self.batch_size, *order, **sampler_position(self.trainer))
        return KeyedLoader(self.training_batches(), batches, self.workers, self.trainer)

    def training_batches(self) -> "ShardBatches":
        """Returns the training images with their random transforms, by the keys of batches."""
        size = self.size if self.crop == "random" else None
        return ShardBatches(self._reader("train"), self.flip, size, self.seed, self.classes)

    def _reader(self, split: str) -> ShardReader:
        return ShardReader(self.source, self._split(split), self.resize_spec)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return {**batch, "image": to_float(batch["image"])}

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Yields batches uint8 (n, C, H, W) of at most ``limit`` images in a fixed order, without random transforms."""
        for images, _ in self._in_order(split, limit):
            yield torch.from_numpy(images)

    def _in_order(self, split: str, limit: int | None = None) -> Iterator[tuple[UInt8Array, Tensor]]:
        reader, count = self._reader(split), self.count(split) if limit is None else min(limit, self.count(split))
        step = max(1, min(256, AT_ONCE // (self.height * self.width)))
        for start in range(0, count, step):
            images, labels = reader.read(np.arange(start, min(start + step, count)))
            yield np.ascontiguousarray(self.resize_spec.center_crop(images)), torch.from_numpy(labels)

    def stream(self, split: str, order_seed: int | None = None) -> Iterator[tuple[UInt8Array, int | None]]:
        """Yields the images of ``images`` one by one, uint8 (C, H, W), each with its class, or None.

        They keep their order, which is random already, whatever ``order_seed`` says.
        """
        for images, labels in self._in_order(split):
            for image, label in zip(images, labels.tolist(), strict=True):
                yield image, label if self.classes else None

    def count(self, split: str) -> int:
        """Returns the number of images in a split."""
        return len(self._split(split))

    def count_stored(self, split: str) -> int:
        """Returns the same."""
        return self.count(split)

    def labels(self, split: str) -> Tensor:
        """Returns the classes of what ``images`` yields, int64 (N,), for which it is read; empty without classes."""
        if not self.classes:
            return torch.zeros(0, dtype=torch.int64)
        if split not in self._labels:
            self._labels[split] = torch.cat([labels for _, labels in self._in_order(split)])
        return self._labels[split]

    def fingerprint(self, split: str) -> str:
        """Returns a hash of the index and of how images get their size. Statistics are cached under it."""
        text = f"{self._split(split).fingerprint()} {self.resize_spec}"
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def identities(self) -> dict[str, Identity]:
        """Returns what "train" and "test" are known again by."""
        return {split: {"count": self.count(split), "hash": self.fingerprint(split)} for split in SPLITS}

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol."""
        order = {"lanes": self.lanes, "shuffle": self.shuffle}
        facts = {"name": self.name, "size": [*self.size], "channels": self.channels, "classes": self.classes, **order}
        splits = {split: {"count": self.count(split), "transform": self.resize_spec.method} for split in SPLITS}
        names = {"class_names": self.class_names} if self.class_names else {}
        return {**facts, "limit": self.limit, "flip": self.flip, "splits": splits, **names}


class ShardBatches:
    """Batches with ``image`` uint8 (n, C, H, W) and, for sets with classes, ``label`` int64 (n,) (a ``BatchDataset``).

    Args:
        reader: the images.
        flip: mirrors images at random.
        size: (H, W) of random crops; None takes whole images.
        seed: determines crops and flips, together with epoch and row.
        classes: number of classes; 0 leaves labels out.
    """

    def __init__(self, reader: ShardReader, flip: bool, size: tuple[int, int] | None, seed: int, classes: int) -> None:
        self.reader, self.flip, self.size, self.seed, self.classes = reader, flip, size, seed, classes

    def __getitem__(self, key: Key) -> Batch:
        images, labels = self.reader.read(key[1])
        if self.size is not None:
            images = random_crops(images, self.size, key, self.seed)
        batch = {"image": torch.from_numpy(random_flips(images, key, self.seed) if self.flip else images)}
        if not self.classes:
            return batch
        if labels.min() < 0 or labels.max() >= self.classes:
            raise UserError(
                f"The labels {labels.min()} to {labels.max()} are no classes of data.classes={self.classes}: give "
                "data.classes=0, or as many as there are."
            )
        return {**batch, "label": torch.from_numpy(labels)}
