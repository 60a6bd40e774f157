"""What data modules share: splits of a set, and the pictures of one side as metrics and callbacks see them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.data.loading.batches import in_order
from gan_lab.data.loading.cache import Rendered
from gan_lab.data.loading.keyed import permutation
from gan_lab.data.reading.pictures import Indices, Pictures

CROP_ROOM = 286 / 256
"""A random crop is taken from a picture larger by this, as in pix2pix and CycleGAN."""
HELD_OUT, HELD_OUT_AT_MOST = 0.1, 10_000
SPLITS = ("train", "test")
WHOLE = "whole"
"""The training split as it is without ``limit``, for figures."""


class Side:
    """Pictures in a fixed order, without random transforms (satisfies ``gan_lab.common.capabilities.RealImages``).

    Args:
        name: of the set, in logs.
        rendered: split → its pixels, decoded now if they were not before.
        channels: of the stored pixels.
        size: (H, W) that the module is set to.
        facts: more of what a protocol should know.
    """

    classes = 0

    def __init__(
        self,
        name: str,
        rendered: Callable[[str], Rendered],
        channels: int,
        size: tuple[int, int],
        facts: Mapping[str, Any],
    ) -> None:
        self.name, self.rendered, self.channels, self.facts = name, rendered, channels, facts
        self.height, self.width = size

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Batches uint8 (n, C, H, W), ``limit`` pictures at most; of different sizes, equal ones that follow each
        other come together.
        """
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
            "size": [self.height, self.width],
            "channels": self.channels,
            **self.facts,
            "splits": {split: self._found(split) for split in SPLITS},
        }

    def _found(self, split: str) -> dict[str, Any]:
        rendered = self.rendered(split)
        return {
            "count": len(rendered),
            "transform": f"{rendered.scan.transform}, {rendered.frame.goal}",
            "found": rendered.scan.summary(),
            "unreadable": rendered.scan.unreadable,
        }


def tell(name: str, rendered: Rendered) -> None:
    """Says what was found, and what could not be read."""
    scan = rendered.scan
    rank_zero_info(f"Data {name}: {scan.summary()}; {scan.transform}, {rendered.frame.goal}.")
    if scan.unreadable:
        rank_zero_warn(f"{len(scan.unreadable)} unreadable pictures are skipped: {scan.unread(20)}.")


def train_and_test(
    found: Mapping[str, Pictures], name: str, limit: int | None = None, split_seed: int = 0
) -> dict[str, Pictures]:
    """Both splits, and the whole training one. Without a test split there is one made: a tenth of the set, 10,000
    pictures at most.

    Args:
        found: what a source has.
        name: of the set.
        limit: so many training pictures alone.
        split_seed: of the held-out tenth and of ``limit``.

    Raises:
        UserError: if there is a single picture to be split.
    """
    train, test = (found["train"], found["test"]) if "train" in found else _held_out(found["all"], name, split_seed)
    found = {"train": train, "test": test, WHOLE: train}
    if limit is not None and limit < len(train):
        found["train"] = train.take(chosen(len(train), limit, split_seed))
    return found


def chosen(n: int, limit: int | None, split_seed: int) -> Indices:
    """Which of n training pictures are left by ``limit``, in order."""
    return np.sort(permutation(n, split_seed)[:limit])


def _held_out(pictures: Pictures, name: str, split_seed: int) -> tuple[Pictures, Pictures]:
    if len(pictures) < 2:
        raise UserError(f"{name} has a single picture: give two at least, for one is held out as the test split.")
    order = permutation(len(pictures), split_seed)
    held = min(max(1, round(HELD_OUT * len(pictures))), HELD_OUT_AT_MOST)
    return pictures.take(np.sort(order[held:])), pictures.take(np.sort(order[:held]))


def enlarged(size: tuple[int, int]) -> tuple[int, int]:
    """The size that leaves a random crop its usual room."""
    return round(size[0] * CROP_ROOM), round(size[1] * CROP_ROOM)


def sides(size: int | Sequence[int], key: str = "size") -> tuple[int, int]:
    """(H, W) from a side or a pair.

    Raises:
        UserError: unless they are whole positive numbers.
    """
    pair = [size, size] if isinstance(size, int) else list(size) if isinstance(size, Sequence) else []
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise UserError(f"data.{key}={size} does not serve: give a side in pixels from 1 up, or [height, width].")
    return int(pair[0]), int(pair[1])


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    """Raises UserError unless the value is among the choices."""
    if value not in choices:
        raise UserError(f"data.{key}={value} does not serve: give one of {', '.join(choices)}.")


def check_counts(**counts: int | None) -> None:
    """Raises UserError unless the values are whole numbers from 1 up, or None."""
    for key, value in counts.items():
        if value is not None and value < 1:
            raise UserError(f"data.{key}={value} does not serve: give a whole number from 1 up.")
