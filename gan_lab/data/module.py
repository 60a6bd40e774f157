"""The data module of pictures: what training, metrics and callbacks see of a set."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from gan_lab.data.batches import PictureBatches, in_order
from gan_lab.data.cache import Rendered, render
from gan_lab.data.loader import KeyedBatches, KeyedLoader, permutation
from gan_lab.data.pictures import Frame, Indices, Pictures, Source
from gan_lab.types import Batch, UserError, to_float

CROP_ROOM = 286 / 256
"""A random crop is taken from a picture larger by this, as in pix2pix and CycleGAN."""
HELD_OUT, HELD_OUT_AT_MOST = 0.1, 10_000
SPLITS = ("train", "test")


class ImageDataModule(LightningDataModule):
    """Pictures of one set, decoded once, in batches ``image`` float32 (N, C, H, W) in [-1, 1] and ``label`` int64 (N,).

    Satisfies ``gan_lab.types.RealImages``. A set without a test split gets one: a tenth of it, 10,000 pictures at most.

    Args:
        source: where the pictures come from.
        name: of the set, in logs and run folders.
        channels: 1 or 3; pictures are converted.
        classes: the number of classes; 0 leaves labels out, None takes what the source has.
        size: side in pixels, or [H, W].
        batch_size: over all ranks.
        seed: of the order, the crops and the flips.
        limit: trains on so many pictures, chosen at random by ``split_seed``; the test split stays whole.
        flip: mirrors pictures from left to right at random.
        crop: "center" or "random".
        workers: processes that make batches.
        cache: of decoded pixels: "memory", "disk" (memory-mapped), or "auto", disk for files and for large sets.
        cache_dir: where "disk" keeps them; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.
        split_seed: of the held-out split and of ``limit``: not ``seed``, for runs must be measured against the same.

    Raises:
        UserError: for a value that cannot work; when the data are read, for what the source refuses, for classes that
            it does not have, and if more than 1 % of the pictures cannot be read.
    """

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
    ) -> None:
        super().__init__()
        _check_choice("crop", crop, ("center", "random"))
        _check_choice("cache", cache, ("auto", "memory", "disk"))
        for key, value in {"channels": channels, "batch_size": batch_size, "limit": limit}.items():
            if value is not None and value < 1:
                raise UserError(f"data.{key}={value} does not serve: give a whole number from 1 up.")
        self.source, self.name, self.channels, self._classes = source, name, channels, classes
        self.height, self.width = self.size = sides(size)
        self.batch_size, self.workers, self.seed, self.split_seed = batch_size, workers, seed, split_seed
        self.limit, self.flip, self.crop = limit, flip, crop
        self.cache, self.cache_dir = cache, cache_dir
        self._rendered: dict[str, Rendered] = {}

    @property
    def classes(self) -> int:
        """As stated, or else as the source has them."""
        return self._splits["train"].classes if self._classes is None else self._classes

    @cached_property
    def frame(self) -> Frame:
        room = CROP_ROOM if self.crop == "random" else 1
        return Frame(self.size, (round(self.height * room), round(self.width * room)), self.channels)

    @cached_property
    def _splits(self) -> dict[str, Pictures]:
        found = self.source.splits()
        classes = next(iter(found.values())).classes
        if self._classes and self._classes != classes:
            raise UserError(
                f"data.classes={self._classes}, but {self.name} has {classes or 'no'} classes: "
                f"give data.classes={classes}."
            )
        train, test = (found["train"], found["test"]) if "train" in found else self._held_out(found["all"])
        return {"train": self._limited(train), "test": test}

    def _held_out(self, pictures: Pictures) -> tuple[Pictures, Pictures]:
        if len(pictures) < 2:
            raise UserError(
                f"{self.name} has a single picture: give two at least, for one is held out as the test split."
            )
        order = self._order(len(pictures))
        held = min(max(1, round(HELD_OUT * len(pictures))), HELD_OUT_AT_MOST)
        return pictures.take(np.sort(order[held:])), pictures.take(np.sort(order[:held]))

    def _limited(self, pictures: Pictures) -> Pictures:
        if self.limit is None or self.limit >= len(pictures):
            return pictures
        return pictures.take(np.sort(self._order(len(pictures))[: self.limit]))

    def _order(self, n: int) -> Indices:
        return permutation(n, self.split_seed)

    def rendered(self, split: str) -> Rendered:
        """The pixels and labels of a split, decoded now if they were not before."""
        _check_choice("split", split, SPLITS)
        if split not in self._rendered:
            self._rendered[split] = render(self._splits[split], self.frame, self.cache, self.cache_dir)
        return self._rendered[split]

    def prepare_data(self) -> None:
        """Fetches and decodes what is not yet there, on one rank, and says what was found."""
        for split in SPLITS:
            scan = self.rendered(split).scan
            rank_zero_info(f"Data {self.name}, {split}: {scan.summary()}; {self._transform(split)}.")
            if scan.unreadable:
                rank_zero_warn(f"{len(scan.unreadable)} unreadable pictures are skipped: {scan.unread(20)}.")

    def setup(self, stage: str) -> None:
        for split in SPLITS:
            self.rendered(split)

    def train_dataloader(self) -> KeyedLoader:
        """Batches of this rank's part, without end, from the one that the module's ``iteration`` counts.

        Raises:
            UserError: if there are fewer pictures than a batch takes, or the ranks cannot share one evenly.
        """
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        rendered = self.rendered("train")
        start = getattr(self.trainer.lightning_module, "iteration", 0) if self.trainer else 0
        batches = KeyedBatches(len(rendered), self.batch_size, self.seed, rank, world_size, start)
        return KeyedLoader(
            PictureBatches(rendered, self.flip, self.seed, labelled=self.classes > 0), batches, self.workers
        )

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return {**batch, "image": to_float(batch["image"])}

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Batches uint8 (n, C, H, W) without random transforms, in a fixed order, ``limit`` pictures at most."""
        return in_order(self.rendered(split), limit)

    def count(self, split: str) -> int:
        return len(self.rendered(split))

    def fingerprint(self, split: str) -> str:
        """A hash of what ``images`` yields."""
        return self.rendered(split).fingerprint()

    def describe(self) -> dict[str, Any]:
        """Plain facts for a protocol."""
        return {
            "name": self.name,
            "size": list(self.size),
            "channels": self.channels,
            "classes": self.classes,
            "limit": self.limit,
            "flip": self.flip,
            "split_seed": self.split_seed,
            "splits": {
                split: {
                    "count": self.count(split),
                    "transform": self._transform(split),
                    "found": self.rendered(split).scan.summary(),
                    "unreadable": self.rendered(split).scan.unreadable,
                }
                for split in SPLITS
            },
        }

    def _transform(self, split: str) -> str:
        (height, width), (box_height, box_width) = self.frame.size, self.frame.box
        crop = f", {self.crop} crop from {box_width}×{box_height}" if self.frame.box != self.frame.size else ""
        return f"{self.rendered(split).scan.transform}, to {width}×{height}{crop}"


def sides(size: int | Sequence[int]) -> tuple[int, int]:
    """(H, W) from a side or a pair.

    Raises:
        UserError: unless they are whole positive numbers.
    """
    pair = [size, size] if isinstance(size, int) else list(size) if isinstance(size, Sequence) else []
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise UserError(f"data.size={size} does not serve: give a side in pixels from 1 up, or [height, width].")
    return int(pair[0]), int(pair[1])


def _check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UserError(f"data.{key}={value} does not serve: give one of {', '.join(choices)}.")
