"""Batches of rendered images with keyed random crops and flips."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.types import Batch
from gan_lab.data.loading.keyed_random import keyed_uniform
from gan_lab.data.loading.loader import Key
from gan_lab.data.loading.rendered import Ragged, Rendered
from gan_lab.data.types import UInt8Array

FLIP, TOP, LEFT, DYNAMIC, STATIC = range(5)
"""Purposes of random numbers, the last word of their keys: flips, crops, dynamic and static binarization."""


class RandomCropFlip:
    """Random crops of images, if the spec has a size to crop to, and random horizontal flips.

    Images of equal size get the same crops and flips from the same seed, as the halves of pairs must. Rows beyond the
    last image are those from the first on, with other crops and flips.

    Args:
        rendered: the pixels.
        flip: mirrors each image with probability 1/2.
        seed: determines crops and flips, together with epoch and row.
        grid: places of crops are multiples of it, in pixels.
    """

    def __init__(self, rendered: Rendered, flip: bool, seed: int, grid: int = 1) -> None:
        self.rendered, self.flip, self.seed, self.grid = rendered, flip, seed, grid

    def __call__(self, key: Key) -> Tensor:
        """Returns the cropped and flipped images of the key's rows, uint8 (n, C, H, W)."""
        images = self._cropped(key)
        return torch.from_numpy(random_flips(images, key, self.seed) if self.flip else images)

    def _cropped(self, key: Key) -> UInt8Array:
        pixels, size = self.rendered.pixels, self.rendered.spec.size
        stored = key[1] % len(pixels)
        if not isinstance(pixels, Ragged) and size in (None, pixels.shape[2:]):
            return np.asarray(pixels[stored])
        if size is None:
            return np.stack([pixels[row] for row in stored])
        return random_crops((pixels[row] for row in stored), size, key, self.seed, self.grid)


def random_flips(images: UInt8Array, key: Key, seed: int) -> UInt8Array:
    """Mirrors each image of a batch (n, C, H, W) with probability 1/2, in place."""
    epoch, rows = key
    flipped = keyed_uniform(rows, seed, epoch, FLIP) < 0.5
    images[flipped] = images[flipped][..., ::-1]
    return images


def random_crops(images: Iterable[UInt8Array], size: tuple[int, int], key: Key, seed: int, grid: int = 1) -> UInt8Array:
    """Crops the images of a batch, (C, H', W') each, at random places that are multiples of the grid.

    Returns:
        uint8 (n, C, H, W).
    """
    epoch, rows = key
    top, left = (keyed_uniform(rows, seed, epoch, purpose) for purpose in (TOP, LEFT))
    return np.stack([_crop(image, size, y, x, grid) for image, y, x in zip(images, top, left, strict=True)])


def _crop(image: UInt8Array, size: tuple[int, int], top: float, left: float, grid: int) -> UInt8Array:
    """Crops at a relative position in [0, 1) of the possible ones; uniform numbers make each equally likely."""
    (height, width), (whole_height, whole_width) = size, image.shape[1:]
    rows, columns = (whole_height - height) // grid + 1, (whole_width - width) // grid + 1
    y, x = grid * int(top * rows), grid * int(left * columns)
    return image[:, y : y + height, x : x + width]


class ImageBatches:
    """Batches with ``image`` uint8 (n, C, H, W) and, for sets with classes, ``label`` int64 (n,) (a ``BatchDataset``).

    Args:
        rendered, flip, seed: arguments of ``RandomCropFlip``.
        labelled: batches have labels, if there are any.
    """

    def __init__(self, rendered: Rendered, flip: bool, seed: int, labelled: bool = True) -> None:
        self.images = RandomCropFlip(rendered, flip, seed)
        self.labels = rendered.labels if labelled else None

    def __getitem__(self, key: Key) -> Batch:
        batch = {"image": self.images(key)}
        return batch if self.labels is None else {**batch, "label": torch.from_numpy(self.labels[key[1]])}


class DomainBatches:
    """Batches with images of several sets, uint8 (n, C, H, W) each, by name (a ``BatchDataset``).

    Args:
        images: crops and flips of each set.
    """

    def __init__(self, images: Mapping[str, RandomCropFlip]) -> None:
        self.images = images

    def __getitem__(self, keys: Mapping[str, Key]) -> Batch:
        return {name: images(keys[name]) for name, images in self.images.items()}


def batches_in_order(rendered: Rendered, limit: int | None = None, batch_size: int = 256) -> Iterator[Tensor]:
    """Yields center crops without random transforms, uint8 (n, C, H, W), of the first ``limit`` images.

    If sizes differ, a batch has consecutive images of one size.
    """
    count = len(rendered) if limit is None else min(limit, len(rendered))
    pixels, spec = rendered.pixels, rendered.spec
    for start, end in _runs(rendered, count, batch_size):
        rows = np.stack([pixels[row] for row in range(start, end)]) if isinstance(pixels, Ragged) else pixels[start:end]
        yield torch.from_numpy(np.array(spec.center_crop(rows)))


def _runs(rendered: Rendered, count: int, limit: int) -> Iterator[tuple[int, int]]:
    """Bounds of runs of images of one size, at most ``limit`` long."""
    shapes = rendered.shapes[:count]
    changes = np.flatnonzero((shapes[1:] != shapes[:-1]).any(1)) + 1
    for begin, end in zip([0, *changes], [*changes, count], strict=True):
        for start in range(begin, end, limit):
            yield start, min(start + limit, end)
