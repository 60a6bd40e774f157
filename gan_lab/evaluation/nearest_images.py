"""The training images that are nearest to given images, by an extractor's features and by pixels."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import RealImages
from gan_lab.common.images import to_float
from gan_lab.data.subsets import capped_count, evenly_spaced
from gan_lab.evaluation.curation import COPIES
from gan_lab.evaluation.metrics.neighbours import Nearest, nearest

REFERENCES = 500
"""Images of the split from which the usual distance is measured."""
Describe = Callable[[Tensor], Tensor]
"""Maps images, uint8 (N, C, H, W), to vectors (N, D) on the CPU."""


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of images in a split, and how near its images are to one another.

    Args:
        index: numbers of the nearest images in the split, (N, k), the nearest first.
        distances: to them, (N, k).
        usual: median distance of an image of the split from the nearest other one.
        near: distance below which a sample counts as a copy, as the command augment has it.
    """

    index: Tensor
    distances: Tensor
    usual: float
    near: float

    def figures(self) -> dict[str, Any]:
        """Returns plain containers for a record."""
        own = {"usual_distance": self.usual, "copy_below": self.near}
        rows = zip(self.index.tolist(), self.distances.tolist(), strict=True)
        return {**own, "neighbours": [{"numbers": index, "distances": distances} for index, distances in rows]}


def neighbours_in(
    data: RealImages, split: str, images: Tensor, describe: Describe, k: PositiveInt, batches: Iterable[Tensor]
) -> Neighbours:
    """Finds the neighbours of images in a split, in one pass through it.

    Args:
        data: the images.
        split: of them.
        images: uint8 (N, C, H, W).
        describe: gives the vectors that are compared.
        k: neighbours of each.
        batches: what ``data.images(split)`` yields, uint8 (n, C, H, W).
    """
    references = [part for _, part in evenly_spaced(data, split, capped_count(data, split, REFERENCES))]
    points = torch.cat([describe(images), *map(describe, references)])
    found, n = _searched(points, batches, describe, max(k, 2)), len(images)
    own = found.squares[n:, 1].sqrt()  # the first is the image itself
    return Neighbours(
        found.index[:n, :k], found.squares[:n, :k].sqrt(), float(own.median()), float(own.quantile(COPIES))
    )


def _searched(points: Tensor, batches: Iterable[Tensor], describe: Describe, k: int) -> Nearest:
    """Returns the k nearest of all images in batches, uint8 (n, C, H, W), of each of the points (M, D)."""
    index, squares, start = torch.empty(len(points), 0, dtype=torch.int64), torch.empty(len(points), 0), 0
    for batch in batches:
        part = nearest(points, describe(batch), min(k, len(batch)))
        index, squares = torch.cat([index, part.index + start], 1), torch.cat([squares, part.squares], 1)
        best = squares.sort(dim=1, stable=True)
        index, squares, start = index.gather(1, best.indices)[:, :k], best.values[:, :k], start + len(batch)
    return Nearest(index, squares)


def pixel_vectors(images: Tensor) -> Tensor:
    """Maps images, uint8 (N, C, H, W), to vectors (N, C·H·W) with the root mean square difference as distance.

    The difference is in levels from 0 to 1.
    """
    flat = to_float(images).flatten(1).cpu()
    return flat / 2 / flat.shape[1] ** 0.5


def images_at(index: Tensor, batches: Iterable[Tensor]) -> Tensor:
    """Returns the images with these numbers (…), uint8 (…, C, H, W), of batches uint8 (n, C, H, W)."""
    wanted, found, start = index.flatten(), dict[int, Tensor](), 0
    numbers = {*wanted.tolist()}
    for batch in batches:
        inside = [number for number in numbers if start <= number < start + len(batch)]
        found |= {number: batch[number - start] for number in inside}
        start += len(batch)
    return torch.stack([found[number] for number in wanted.tolist()]).unflatten(0, index.shape)
