"""Splits of a set, and the images of a split as metrics and callbacks see them."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.wording import counted
from gan_lab.data.loading.batches import batches_in_order
from gan_lab.data.loading.keyed_random import permutation
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.reading.image_sets import ImageSet
from gan_lab.data.types import Int64Array

CROP_MARGIN = 286 / 256
"""Random crops are taken from images that are larger by this factor, as in pix2pix and CycleGAN."""

TEST_SHARE, MAX_TEST_SIZE = 0.1, 10_000
SPLITS = ("train", "test")
WHOLE = "whole"
"""The training split without ``limit``, for metrics."""


class SplitView:
    """The images of each split in a fixed order, without random transforms.

    Satisfies ``gan_lab.common.capabilities.RealImages``.

    Args:
        name: of the set, in logs.
        rendered: returns the pixels of a split, which are rendered on first use.
        channels: of the stored pixels.
        size: (H, W) that the module is set to.
        facts: further entries of ``describe``.
    """

    classes = 0

    def __init__(
        self,
        name: str,
        rendered: Callable[[str], Rendered],
        channels: int,
        size: tuple[int, int],
        facts: Mapping[str, object],
    ) -> None:
        self.name, self.rendered, self.channels, self.facts = name, rendered, channels, facts
        self.height, self.width = size

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Yields batches uint8 (n, C, H, W) of at most ``limit`` images.

        If sizes differ, a batch has consecutive images of one size.
        """
        return batches_in_order(self.rendered(split), limit)

    def count(self, split: str) -> int:
        """Returns the number of images in a split."""
        return len(self.rendered(split))

    def one_size(self, split: str) -> tuple[int, int] | None:
        """Returns the height and width of the images of a split; None if they differ."""
        rendered = self.rendered(split)
        return (rendered.spec.size or rendered.one_size) if len(rendered) else None

    def fingerprint(self, split: str) -> str:
        """Returns a hash of what ``images`` yields. Statistics of real images are cached under it."""
        return self.rendered(split).fingerprint()

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol."""
        return {
            "name": self.name,
            "size": [self.height, self.width],
            "channels": self.channels,
            **self.facts,
            "splits": {split: self._describe_split(split) for split in SPLITS},
        }

    def _describe_split(self, split: str) -> dict[str, object]:
        rendered = self.rendered(split)
        return {
            "count": len(rendered),
            "transform": f"{rendered.scan.transform}, {rendered.spec.goal}",
            "found": rendered.scan.summary(),
            "unreadable": rendered.scan.unreadable,
        }


def log_summary(name: str, rendered: Rendered) -> None:
    """Logs which images were read, and which could not be."""
    scan = rendered.scan
    rank_zero_info(f"Data {name}: {scan.summary()}; {scan.transform}, {rendered.spec.goal}.")
    if scan.unreadable:
        rank_zero_warn(f"{len(scan.unreadable)} unreadable images are skipped: {scan.list_unreadable(20)}.")


def with_labels(splits: Mapping[str, ImageSet], name: str) -> dict[str, ImageSet]:
    """Leaves out images without a class; without a test split that has classes, "all" remains.

    Args:
        splits: what the source has, "train" and "test", or "all".
        name: of the set.

    Raises:
        UserError: if no training image has a class.
    """
    found: dict[str, ImageSet] = {}
    for split, images in splits.items():
        known = np.ones(len(images), bool) if images.labels is None else images.labels >= 0
        if not known.all():
            count = counted(int((~known).sum()), "image")
            rank_zero_info(f"Data {name}, {split}: {count} without a class left out.")
        if known.any():
            found[split] = images if known.all() else images.take(np.flatnonzero(known))
    if found.keys() <= {"test"}:
        raise UserError(f"No training image of {name} has a class: give data.classes=0.")
    if "train" in found and "test" not in found:
        rank_zero_info(f"Data {name}: no test image has a class, so a tenth of the training images is held out.")
        return {"all": found["train"]}
    return found


def train_and_test(
    splits: Mapping[str, ImageSet], name: str, limit: int | None = None, split_seed: int = 0
) -> dict[str, ImageSet]:
    """Returns "train", "test" and "whole", the training split without ``limit``.

    If the source has no test split, a tenth of the set is held out, at most 10,000 images.

    Args:
        splits: what the source has, "train" and "test", or "all".
        name: of the set.
        limit: keeps this many training images, chosen at random.
        split_seed: determines the held-out tenth and the choice by ``limit``.

    Raises:
        UserError: if there is only one image to split.
    """
    train, test = (splits["train"], splits["test"]) if "train" in splits else _held_out(splits["all"], name, split_seed)
    found = {"train": train, "test": test, WHOLE: train}
    if limit is not None and limit < len(train):
        found["train"] = train.take(limited_rows(len(train), limit, split_seed))
    return found


def held_out_of_each_class(images: ImageSet, split_seed: int) -> dict[str, ImageSet]:
    """Returns "train" and "test": a tenth of each class is held out, which leaves two images of it to train on.

    Args:
        images: of which all have classes.
        split_seed: determines the held-out images.
    """
    assert images.labels is not None
    held = np.zeros(len(images), bool)
    for number in range(images.classes):
        members = np.flatnonzero(images.labels == number)
        count = min(max(1, round(TEST_SHARE * len(members))), max(0, len(members) - 2))
        held[members[permutation(len(members), split_seed, number)[:count]]] = True
    return {"train": images.take(np.flatnonzero(~held)), "test": images.take(np.flatnonzero(held))}


def limited_rows(n: int, limit: int | None, split_seed: int) -> Int64Array:
    """Returns which of n training images ``limit`` keeps, int64, ascending."""
    return np.sort(permutation(n, split_seed)[:limit])


def _held_out(images: ImageSet, name: str, split_seed: int) -> tuple[ImageSet, ImageSet]:
    if len(images) < 2:
        raise UserError(f"{name} has a single image: give at least two, because one is held out as the test split.")
    order = permutation(len(images), split_seed)
    held = min(max(1, round(TEST_SHARE * len(images))), MAX_TEST_SIZE)
    return images.take(np.sort(order[held:])), images.take(np.sort(order[:held]))


def with_crop_margin(size: tuple[int, int]) -> tuple[int, int]:
    """Returns the (H, W) that random crops of a size are usually taken from."""
    return round(size[0] * CROP_MARGIN), round(size[1] * CROP_MARGIN)
