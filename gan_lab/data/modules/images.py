"""The data module of pictures: what training, metrics and callbacks see of a set."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.types import Batch
from gan_lab.data.loading.batches import PictureBatches
from gan_lab.data.loading.binary import DrawnAnew, drawn_once
from gan_lab.data.loading.cache import Rendered, render
from gan_lab.data.loading.keyed import Keyed, KeyedBatches, KeyedLoader, position
from gan_lab.data.loading.splits import (
    SPLITS,
    WHOLE,
    Side,
    check_choice,
    check_counts,
    chosen,
    enlarged,
    sides,
    tell,
    train_and_test,
)
from gan_lab.data.reading.pictures import Frame, Indices, Pictures, Source


class ImageDataModule(LightningDataModule):
    """Pictures of one set, decoded once, in batches ``image`` float32 (N, C, H, W) in [-1, 1] and ``label`` int64 (N,).

    Satisfies ``gan_lab.common.capabilities.RealImages``. A set without a test split gets one: a tenth of it, 10,000 pictures
    at most.

    Args:
        source: where the pictures come from.
        name: of the set, in logs and run folders.
        channels: 1 or 3; pictures are converted.
        classes: the number of classes; 0 leaves labels out, None takes what the source has.
        size: side in pixels, or [H, W].
        batch_size: over all ranks.
        seed: of the order, the crops and the flips.
        limit: trains on so many pictures, chosen at random by ``split_seed``; the test split stays whole, and
            the split "whole" is training's without the limit, to compare with.
        flip: mirrors pictures from left to right at random.
        crop: "center" or "random".
        workers: processes that make batches.
        cache: of decoded pixels: "memory", "disk" (memory-mapped), or "auto", disk for files and for large sets.
        cache_dir: where "disk" keeps them; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.
        split_seed: of the held-out split and of ``limit``: not ``seed``, for runs must be measured against the same.
        binarize: makes each value v 255 with probability v / 255, else 0. "static": drawn once, before crops and flips,
            by ``binarize_seed``; a picture's draw in "whole" is that in "train", with any ``limit``. "dynamic":
            training gets another draw in every epoch, by ``seed``, and whatever else looks sees the static one. The
            static pixels stay in memory, whatever ``cache`` says.
        binarize_seed: of the static draws: not ``seed``, for runs must be measured against the same.

    Raises:
        UserError: for a value that cannot work; when the data are read, for what the source refuses, for classes that
            it does not have, and if more than 1 % of the pictures cannot be read.
    """

    stacked = False
    """Whether each channel is a digit: then modes can be counted."""

    def __init__(
        self,
        source: Source,
        name: str,
        channels: int,
        classes: int | None,
        size: int | Sequence[int],
        batch_size: int,
        seed: int = 0,
        limit: int | None = None,
        flip: bool = False,
        crop: str = "center",
        workers: int = 0,
        cache: str = "auto",
        cache_dir: str | None = None,
        split_seed: int = 0,
        binarize: str | None = None,
        binarize_seed: int = 0,
    ) -> None:
        super().__init__()
        if binarize is not None:
            check_choice("binarize", binarize, ("static", "dynamic"))
        check_choice("crop", crop, ("center", "random"))
        check_choice("cache", cache, ("auto", "memory", "disk"))
        check_counts(channels=channels, batch_size=batch_size, limit=limit)
        self.source, self.name, self.channels, self._classes = source, name, channels, classes
        self.height, self.width = self.size = sides(size)
        self.batch_size, self.workers, self.seed, self.split_seed = batch_size, workers, seed, split_seed
        self.limit, self.flip, self.crop = limit, flip, crop
        self.cache, self.cache_dir = cache, cache_dir
        self.binarize, self.binarize_seed = binarize, binarize_seed
        self._decoded: dict[str, Rendered] = {}
        self._drawn: dict[str, Rendered] = {}

    @property
    def classes(self) -> int:
        """As stated, or else as the source has them."""
        return self._splits["train"].classes if self._classes is None else self._classes

    @cached_property
    def frame(self) -> Frame:
        return Frame(self.size, enlarged(self.size) if self.crop == "random" else self.size, self.channels)

    @cached_property
    def _splits(self) -> dict[str, Pictures]:
        found = self.source.splits()
        classes = next(iter(found.values())).classes
        if self._classes and self._classes != classes:
            raise UserError(
                f"data.classes={self._classes}, but {self.name} has {classes or 'no'} classes: "
                f"give data.classes={classes}."
            )
        return train_and_test(found, str(self.name), self.limit, self.split_seed)

    @cached_property
    def _side(self) -> Side:
        facts = {"classes": self.classes, "limit": self.limit, "flip": self.flip, "split_seed": self.split_seed}
        drawn = {"binarize": self.binarize, "binarize_seed": self.binarize_seed} if self.binarize else {}
        return Side(str(self.name), self.rendered, self.channels, self.size, {**facts, **drawn})

    def rendered(self, split: str) -> Rendered:
        """The pixels and labels of a split as metrics see them, made now if they were not before."""
        if not self.binarize:
            return self.decoded(split)
        split = self._same(split)
        if split not in self._drawn:
            decoded, number = self.decoded(split), SPLITS.index("test" if split == "test" else "train")
            self._drawn[split] = drawn_once(decoded, self._rows(split, decoded), self.binarize_seed, number)
        return self._drawn[split]

    def decoded(self, split: str) -> Rendered:
        """The same before ``binarize``."""
        split = self._same(split)
        if split not in self._decoded:
            self._decoded[split] = render(self._splits[split], self.frame, self.cache, self.cache_dir)
        return self._decoded[split]

    def _same(self, split: str) -> str:
        """The split, or "train" where that is the whole."""
        check_choice("split", split, (*SPLITS, WHOLE))
        return "train" if split == WHOLE and self._splits[WHOLE] is self._splits["train"] else split

    def _rows(self, split: str, decoded: Rendered) -> Indices:
        """Where each picture stands in the split, or of training in the whole, unreadable ones counted; (N,)."""
        rows = np.array(decoded.scan.rows)
        return chosen(len(self._splits[WHOLE]), self.limit, self.split_seed)[rows] if split == "train" else rows

    def prepare_data(self) -> None:
        """Fetches and decodes what is not yet there, on one rank, and says what was found."""
        for split in SPLITS:
            tell(f"{self.name}, {split}", self.decoded(split))

    def setup(self, stage: str) -> None:
        for split in SPLITS:
            self.decoded(split)

    def train_dataloader(self) -> KeyedLoader:
        """Batches of this rank's part, without end, from the one that the module's ``iteration`` counts.

        Raises:
            UserError: if there are fewer pictures than a batch takes, or the ranks cannot share one evenly.
        """
        anew = self.binarize == "dynamic"
        rendered = self.decoded("train") if anew else self.rendered("train")
        batches = KeyedBatches(len(rendered), self.batch_size, self.seed, **position(self.trainer))
        data: Keyed = PictureBatches(rendered, self.flip, self.seed, labelled=self.classes > 0)
        return KeyedLoader(DrawnAnew(data, self.seed) if anew else data, batches, self.workers)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return {**batch, "image": to_float(batch["image"])}

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Batches uint8 (n, C, H, W) without random transforms, in a fixed order, ``limit`` pictures at most."""
        return self._side.images(split, limit)

    def count(self, split: str) -> int:
        return self._side.count(split)

    def labels(self, split: str) -> Tensor:
        """The classes (N,) of what ``images`` yields, int64; empty where the set has none."""
        found = self.decoded(split).labels
        return torch.from_numpy(found) if found is not None and self.classes else torch.zeros(0, dtype=torch.int64)

    def fingerprint(self, split: str) -> str:
        """A hash of what ``images`` yields."""
        return self._side.fingerprint(split)

    def describe(self) -> dict[str, Any]:
        """Plain facts for a protocol."""
        return self._side.describe()
