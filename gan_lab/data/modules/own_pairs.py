"""The data module of pairs of one's own: damaged images, and the same without damage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.bounds import Natural, PositiveInt, Seed
from gan_lab.common.capabilities import DamagedImages
from gan_lab.common.errors import UserError
from gan_lab.data.checks import parse_size
from gan_lab.data.loading.rendered import Rendered
from gan_lab.data.modules.translation import TranslationDataModule
from gan_lab.data.reading.image_sets import TwoDomainSource
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import UInt8Array

BATCH = 256
"""Images at once, for metrics."""


class OwnPairsDataModule(TranslationDataModule):
    """Damaged images "a" and clean ones "b", matched (``Damages`` and ``RealImages``, those of the clean images).

    Batches have ``image`` float32 (N, C, H, W) and ``damaged`` float32 (N, C, H / factor, W / factor), both in [-1, 1]:
    crops of the same place, at random in training, from the middle for metrics.

    Args:
        source: where the pairs come from.
        factor: sides of a clean image in sides of the damaged one.
        name, seed, limit, flip, workers, cache, cache_dir, split_seed: see ``TranslationDataModule``.
        channels: 1 or 3; images are converted.
        size: side of the crops of clean images in pixels, or [H, W].
        batch_size: over all ranks.

    Raises:
        UserError: for invalid values, for a size that is not a multiple of the factor, and, when the data are read, for
            images whose sides do not have that factor.
    """

    masks = False
    classes = 0
    names_in_pairs: ClassVar[Mapping[str, str]] = {"damaged": "a", "image": "b"}

    def __init__(
        self,
        source: TwoDomainSource,
        factor: PositiveInt,
        name: str,
        channels: PositiveInt,
        size: PositiveInt | Sequence[PositiveInt],
        batch_size: PositiveInt,
        seed: Seed = 0,
        limit: PositiveInt | None = None,
        flip: bool = True,
        workers: Natural = 0,
        cache: str = "auto",
        cache_dir: str | None = None,
        split_seed: Seed = 0,
    ) -> None:
        domains = {side: {"channels": channels} for side in "ab"}
        super().__init__(
            source, name, domains, True, size, batch_size, seed, limit, flip, "crop", None, workers, cache, cache_dir,
            split_seed,
        )  # fmt: skip
        self.factor, self.channels, (self.height, self.width) = factor, channels, parse_size(size)
        if self.height % factor or self.width % factor:
            raise UserError(
                f"data.size={size} is not valid for images {factor} times as small: give a multiple of {factor}."
            )

    def resize_spec(self, side: str, training: bool) -> ResizeSpec:
        """Returns that images keep their size, and that of the crops."""
        reduced = self.factor if side == "a" else 1
        size = self.height // reduced, self.width // reduced
        return ResizeSpec(size, size, self.channels, "keep")

    def crop_grid(self, side: str) -> int:
        return self.factor if side == "b" else 1

    def _check_sizes(self, both: Mapping[str, Rendered]) -> None:
        if (self.factor * both["a"].shapes != both["b"].shapes).any():
            ratio = "as high and wide" if self.factor == 1 else f"{self.factor} times as high and wide"
            raise UserError(
                f"A clean image of {self.name} is not {ratio} as the damaged one: give pairs that are, or another "
                "damage.factor=."
            )

    # The clean images, as metrics see them.

    def images(self, split: str, limit: int | None = None) -> Iterator[Tensor]:
        """Yields crops from the middle of the clean images, uint8 (n, C, H, W)."""
        pixels = self.rendered(split, training=False)["b"].pixels
        for rows in torch.arange(len(pixels))[:limit].split(BATCH):
            yield torch.from_numpy(np.stack([self._middle(pixels[row], 1) for row in rows.tolist()]))

    def fixed_damage(self, clean: Tensor, rows: Sequence[int]) -> DamagedImages:
        """Returns the images with these numbers in the test split, and the same without damage, (n, C, H, W)."""
        pixels = self.rendered("test", training=False)["a"].pixels
        small = np.stack([self._middle(pixels[row], self.factor) for row in rows])
        return DamagedImages(clean, torch.from_numpy(small), None)

    def _middle(self, image: UInt8Array, reduced: int) -> UInt8Array:
        """Returns the crop from the middle of an image (C, H, W), at the same place in both of a pair."""
        height, width = self.height // reduced, self.width // reduced
        step = self.factor // reduced  # the places of both are those of the damaged image's pixels
        top, left = (room // step // 2 * step for room in (image.shape[1] - height, image.shape[2] - width))
        return np.ascontiguousarray(image[:, top : top + height, left : left + width])

    def count(self, split: str) -> int:
        """Returns the number of pairs in a split."""
        return self.sides["b"].count(split)

    def fingerprint(self, split: str) -> str:
        """Returns a hash of the clean and the damaged images of a split."""
        return "-".join(self.sides[side].fingerprint(split) for side in "ab")

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol."""
        return super().describe() | {"damage": "pairs", "factor": self.factor}
