"""The data module of images: what training, metrics and callbacks see of a set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.capabilities import Identity
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.types import Batch
from gan_lab.data.checks import check_choice, check_counts, parse_size
from gan_lab.data.loading.batches import ImageBatches
from gan_lab.data.loading.binarization import DynamicBinarization, static_binarization
from gan_lab.data.loading.cache import CACHES, render
from gan_lab.data.loading.loader import BatchDataset, EpochBatchSampler, Key, KeyedLoader, sampler_position
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.loading.splits import (
    SPLITS,
    WHOLE,
    SplitView,
    limited_rows,
    log_summary,
    train_and_test,
    with_crop_margin,
    with_labels,
)
from gan_lab.data.loading.stream import ImageStream, packing_order
from gan_lab.data.reading.files import same_format
from gan_lab.data.reading.image_sets import EncodedImages, ImageSet, ImageSource, class_names
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array

MAX_CACHE = 1 << 38
"""Bytes of pixels of image files that the cache on disk should not exceed, 256 GiB."""


class ImageDataModule(LightningDataModule):
    """Images of one set, decoded once (satisfies ``gan_lab.common.capabilities.RealImages``).

    Batches have ``image`` float32 (N, C, H, W) in [-1, 1] and, for sets with classes, ``label`` int64 (N,). If the set
    has no test split, a tenth of it is held out, at most 10,000 images.

    Args:
        source: where the images come from.
        name: of the set, in logs and run folders.
        channels: 1 or 3; images are converted.
        classes: number of classes; 0 leaves labels out, None takes what the source has.
        size: side in pixels, or [H, W].
        batch_size: over all ranks.
        seed: of the order, the crops and the flips.
        limit: trains on this many images, chosen at random by ``split_seed``. The test split stays whole, and the split
            "whole" is the training split without the limit, to compare with.
        flip: mirrors images horizontally at random.
        crop: "center" or "random".
        workers: processes that make batches.
        cache: of decoded pixels: "memory", "disk" (memory-mapped), or "auto", disk for files and for large sets;
            "packed" keeps the bytes of files, which take a tenth of the room and are decoded in each epoch.
        cache_dir: folder of the disk cache; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.
        split_seed: of the held-out split and of ``limit``. It is independent of ``seed``, so that runs are evaluated
            against the same images.
        binarize: replaces each value v by 255 with probability v / 255, else by 0. "static" does so once, before crops
            and flips, by ``binarize_seed``; an image becomes the same in "whole" and in "train" with any ``limit``.
            "dynamic" gives training new images in every epoch, by ``seed``, and metrics the static ones. Static pixels
            stay in memory, whatever ``cache`` says.
        binarize_seed: of static binarization, independent of ``seed`` for the same reason.

    Raises:
        UserError: for invalid values; when the data are read, for what the source refuses, for classes that it does not
            have, and if more than 1 % of the images cannot be read.
    """

    stacked = False
    """True if each channel is a digit, so that modes can be counted."""

    def __init__(
        self,
        source: ImageSource,
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
        cache: str = "auto",
        cache_dir: str | None = None,
        split_seed: Seed = 0,
        binarize: str | None = None,
        binarize_seed: Seed = 0,
    ) -> None:
        super().__init__()
        if binarize is not None:
            check_choice("binarize", binarize, ("static", "dynamic"))
        check_choice("crop", crop, ("center", "random"))
        check_choice("cache", cache, CACHES)
        check_counts(channels=channels, batch_size=batch_size, limit=limit)
        self.source, self.name, self.channels, self._classes = source, name, channels, classes
        self.height, self.width = self.size = parse_size(size)
        self.batch_size, self.workers, self.seed, self.split_seed = batch_size, workers, seed, split_seed
        self.limit, self.flip, self.crop = limit, flip, crop
        self.cache, self.cache_dir = cache, cache_dir
        self.binarize, self.binarize_seed = binarize, binarize_seed
        self._decoded: dict[str, Rendered] = {}
        self._binarized: dict[str, Rendered] = {}

    @property
    def classes(self) -> int:
        """The stated number of classes, or the source's if none is stated."""
        return self._splits["train"].classes if self._classes is None else self._classes

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their numbers; empty without classes, or if they have no names."""
        return class_names(self._splits["train"]) if self.classes else []

    @cached_property
    def resize_spec(self) -> ResizeSpec:
        """Size and channels before random crops."""
        target_size = with_crop_margin(self.size) if self.crop == "random" else self.size
        return ResizeSpec(self.size, target_size, self.channels)

    @cached_property
    def _decoding_spec(self) -> ResizeSpec:
        """``resize_spec`` with one way of decoding for all splits."""
        return replace(self.resize_spec, shortcut=same_format(self._splits.values()))

    @cached_property
    def _splits(self) -> dict[str, ImageSet]:
        splits = self.source.splits()
        classes = next(iter(splits.values())).classes
        if self._classes and self._classes != classes:
            raise UserError(
                f"data.classes={self._classes}, but {self.name} has {classes or 'no'} classes: "
                f"give data.classes={classes}."
            )
        if classes and self._classes != 0:
            splits = with_labels(splits, str(self.name))
        return train_and_test(self._with_test_split(splits), str(self.name), self.limit, self.split_seed)

    def _with_test_split(self, splits: Mapping[str, ImageSet]) -> Mapping[str, ImageSet]:
        """Returns the splits as they are: ``train_and_test`` holds out a test split where there is none."""
        return splits

    @cached_property
    def _view(self) -> SplitView:
        facts: dict[str, object] = {"classes": self.classes, "limit": self.limit, "flip": self.flip}
        facts["split_seed"] = self.split_seed
        if self.binarize:
            facts |= {"binarize": self.binarize, "binarize_seed": self.binarize_seed}
        return SplitView(str(self.name), self.rendered, self.channels, self.size, facts)

    def rendered(self, split: str) -> Rendered:
        """Returns pixels and labels of a split as metrics see them, rendered on first use."""
        if not self.binarize:
            return self.decoded(split)
        split = self._stored_split(split)
        if split not in self._binarized:
            decoded, number = self.decoded(split), SPLITS.index("test" if split == "test" else "train")
            rows = self._source_rows(split, decoded)
            self._binarized[split] = static_binarization(decoded, rows, self.binarize_seed, number)
        return self._binarized[split]

    def decoded(self, split: str) -> Rendered:
        """Returns pixels and labels of a split before ``binarize``, rendered on first use."""
        split = self._stored_split(split)
        if split not in self._decoded:
            self._check_cacheable(self._splits[split])
            self._decoded[split] = render(self._splits[split], self._decoding_spec, self.cache, self.cache_dir)
        return self._decoded[split]

    def _check_cacheable(self, images: ImageSet) -> None:
        """Refuses files with more pixels than should be cached, before any is read."""
        room = len(images) * self.channels * prod(self.resize_spec.target_size)
        if self.cache in ("auto", "disk") and isinstance(images, EncodedImages) and room > MAX_CACHE:
            size = "[{},{}]".format(*self.size) if self.height != self.width else self.width
            given = f"data={getattr(self.source, 'choice', '…')} data.root={getattr(self.source, 'root', '…')}"
            command = f"python -m gan_lab.pack {given} size={size} format=shards split=all output=shards"
            raise UserError(
                f"The pixels of {len(images):,} images would take {room >> 30:,} GiB of the cache: run {command} and "
                "train with data=stream data.root=shards, or give data.cache=packed."
            )

    def _stored_split(self, split: str) -> str:
        """Returns "train" for "whole" if they are equal, so that no split is rendered twice."""
        check_choice("split", split, (*SPLITS, WHOLE))
        return "train" if split == WHOLE and self._splits[WHOLE] is self._splits["train"] else split

    def _source_rows(self, split: str, decoded: Rendered) -> Int64Array:
        """The place of each image in the test split or in the whole training split, unreadable ones counted; (N,)."""
        rows = np.array(decoded.scan.rows)
        return limited_rows(len(self._splits[WHOLE]), self.limit, self.split_seed)[rows] if split == "train" else rows

    def prepare_data(self) -> None:
        """Downloads and decodes what is missing, on one rank, and logs a summary."""
        for split in SPLITS:
            log_summary(f"{self.name}, {split}", self.decoded(split))

    def setup(self, stage: str) -> None:
        for split in SPLITS:
            self.decoded(split)

    def train_dataloader(self) -> KeyedLoader:
        """Returns batches of this rank's part, from the module's ``iteration`` on; see ``KeyedLoader``.

        Raises:
            UserError: if there are fewer images than a batch takes, or the ranks cannot share one evenly.
        """
        count = len(self._trained_on)
        batches = EpochBatchSampler(count, self.batch_size, self.seed, **sampler_position(self.trainer))
        return KeyedLoader(self.training_batches(), batches, self.workers, self.trainer)

    def training_batches(self) -> BatchDataset[Key]:
        """Returns the training images with their random transforms, by the keys of batches."""
        data: BatchDataset[Key] = ImageBatches(self._trained_on, self.flip, self.seed, labelled=self.classes > 0)
        return DynamicBinarization(data, self.seed) if self.binarize == "dynamic" else data

    @property
    def _trained_on(self) -> Rendered:
        return self.decoded("train") if self.binarize == "dynamic" else self.rendered("train")

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return {**batch, "image": to_float(batch["image"])}

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Yields batches uint8 (n, C, H, W) of at most ``limit`` images in a fixed order, without random transforms."""
        return self._view.images(split, limit)

    def stream(self, split: str, order_seed: int | None = None) -> ImageStream:
        """Returns what ``images`` yields before ``binarize``, one by one and with classes, decoded without a cache.

        Args:
            split: "train", "test" or "whole".
            order_seed: of a random order; None keeps that of the set.
        """
        check_choice("split", split, (*SPLITS, WHOLE))
        images = self._splits[split]
        ordered = images if order_seed is None else images.take(packing_order(images, order_seed))
        return ImageStream(ordered, self._decoding_spec, labelled=self.classes > 0)

    def count_stored(self, split: str) -> int:
        """Returns the number of images that a split has before any is read, unreadable ones included."""
        return len(self._splits[split])

    def count(self, split: str) -> int:
        """Returns the number of images in a split."""
        return self._view.count(split)

    def labels(self, split: str) -> Tensor:
        """Returns the classes of what ``images`` yields, int64 (N,); empty if the set has none."""
        labels = self.decoded(split).labels
        return torch.from_numpy(labels) if labels is not None and self.classes else torch.zeros(0, dtype=torch.int64)

    def fingerprint(self, split: str) -> str:
        """Returns a hash of what ``images`` yields. Statistics of real images are cached under it."""
        return self._view.fingerprint(split)

    def identities(self) -> dict[str, Identity]:
        """Returns what "train" and "test" are known again by, classes included, before ``binarize``."""
        return {split: self.decoded(split).identity(labelled=self.classes > 0) for split in SPLITS}

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol."""
        names = self.class_names
        return self._view.describe() | ({"class_names": names} if names else {})
