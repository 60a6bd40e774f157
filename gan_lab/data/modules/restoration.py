"""The data module of damaged images and what they were before."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.capabilities import DamagedImages
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_float
from gan_lab.common.types import Batch
from gan_lab.data.checks import check_choice
from gan_lab.data.damage.draws import Damage, Damaged, Draws
from gan_lab.data.loading.loader import BatchDataset, Key
from gan_lab.data.modules.images import ImageDataModule
from gan_lab.data.reading.image_sets import ImageSource
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array

DAMAGE, FIXED = 5, 6
"""Purposes of random numbers, the first word of their keys: damage in training, and of images that are measured."""


class DamagedBatches:
    """Batches with ``image``, ``damaged`` and, where pixels are unknown, ``known`` (a ``BatchDataset``).

    Args:
        clean: batches with ``image`` uint8 (n, C, H, W), cropped and flipped.
        damage: what is done to each image; its random numbers depend on (seed, epoch, row).
        seed: determines the damage.
    """

    def __init__(self, clean: BatchDataset[Key], damage: Damage, seed: int) -> None:
        self.clean, self.damage, self.seed = clean, damage, seed

    def __getitem__(self, key: Key) -> Batch:
        epoch, rows = key
        batch = self.clean[key]
        made = damaged(batch["image"].numpy(), rows, self.damage, DAMAGE, self.seed, epoch)
        known = {} if made.known is None else {"known": made.known}
        return {**batch, "damaged": made.damaged, **known}


def damaged(clean: UInt8Array, rows: Int64Array, damage: Damage, *key: int) -> DamagedImages:
    """Damages images (n, C, H, W), each by its row and the key."""
    results: list[Damaged] = [damage(pixels, Draws(*key, int(row))) for pixels, row in zip(clean, rows, strict=True)]
    known = [result.known for result in results if result.known is not None]
    pixels = torch.from_numpy(np.stack([result.pixels for result in results]))
    return DamagedImages(torch.from_numpy(clean), pixels, torch.from_numpy(np.stack(known)) if known else None)


class RestorationDataModule(ImageDataModule):
    """Images, and the same after damage, which is made anew in every epoch (``Damages`` and ``RealImages``).

    Batches have ``image`` float32 (N, C, H, W) and ``damaged`` float32 (N, C, h, w), both in [-1, 1], and, if the
    damage leaves pixels unknown, ``known`` float32 (N, 1, h, w), 1 at known pixels and 0 elsewhere.

    Images keep their stored size, unless they are smaller than ``size``, and crops of ``size`` are taken from them: at
    random in training, from the middle for metrics, whose damage is the same for every run.

    Args:
        source: where the clean images come from.
        damage: what is done to them after the crop.
        name, channels, batch_size, seed, limit, flip, workers, cache, cache_dir, split_seed: see ``ImageDataModule``.
        size: side of the crops in pixels, or [H, W].
        resize: "keep" crops from images of their stored size, "cover" from images that are made to cover ``size``.

    Raises:
        UserError: for invalid values, and for a size that is not a multiple of the damage's factor.
    """

    def __init__(
        self,
        source: ImageSource,
        damage: Damage,
        name: str,
        channels: PositiveInt,
        size: PositiveInt | Sequence[PositiveInt],
        batch_size: PositiveInt,
        seed: Seed = 0,
        limit: PositiveInt | None = None,
        flip: bool = True,
        resize: str = "keep",
        workers: Natural = 0,
        cache: str = "auto",
        cache_dir: str | None = None,
        split_seed: Seed = 0,
    ) -> None:
        check_choice("resize", resize, ("keep", "cover"))
        super().__init__(
            source, name, channels, 0, size, batch_size, seed, limit, flip, "random", workers, cache, cache_dir,
            split_seed,
        )  # fmt: skip
        if any(side % damage.factor for side in self.size):
            raise UserError(
                f"data.size={size} is not valid for images that are reduced {damage.factor} times: give a multiple of "
                f"{damage.factor}."
            )
        self.damage, self.resize = damage, resize
        self.factor, self.masks = damage.factor, damage.masks

    @cached_property
    def resize_spec(self) -> ResizeSpec:
        if self.resize == "cover":
            return super().resize_spec
        return ResizeSpec(self.size, self.size, self.channels, "keep")

    def training_batches(self) -> BatchDataset[Key]:
        return DamagedBatches(super().training_batches(), self.damage, self.seed)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        known = {"known": batch["known"].float()} if "known" in batch else {}
        return {"image": to_float(batch["image"]), "damaged": to_float(batch["damaged"]), **known}

    def fixed_damage(self, clean: Tensor, rows: Sequence[int]) -> DamagedImages:
        """Damages images (n, C, H, W) with these numbers in their split, in the same way for every run."""
        return damaged(clean.numpy(), np.array(rows), self.damage, FIXED)

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol, the damage among them."""
        return super().describe() | {"damage": described(self.damage), "resize": self.resize}


def described(part: object) -> Any:
    """Returns the class and the values of damage, in plain containers."""
    if isinstance(part, dict):
        return {name: described(each) for name, each in part.items()}
    if isinstance(part, list | tuple):
        return [described(each) for each in part]
    if part is None or isinstance(part, int | float | str):
        return part
    return {type(part).__name__: {name: described(value) for name, value in vars(part).items()}}
