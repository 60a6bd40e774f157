"""Subsets of a split of images."""

from collections.abc import Iterator
from math import ceil

import torch
from torch import Tensor

from gan_lab.common.capabilities import RealImages
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.progress import track
from gan_lab.common.stopping import in_rounds

PIXELS = 2**20
"""Limit of a part's pixels, single images aside: 256 images of 64×64, or 16 of 256×256."""


def capped_count(data: RealImages, split: str, n: int | None) -> int:
    """Returns the number of images in a split, at most n."""
    count = data.count(split)
    return min(count, n or count)


def shared_blocks(n: int, batch_size: int, description: str, progress: bool = True) -> Iterator[tuple[int, int]]:
    """Yields this rank's blocks of the numbers 0 … n - 1 as (first, length); blocks go to ranks in turn."""
    rank, world = rank_and_world_size()
    starts = range(rank * batch_size, n, world * batch_size)
    shown = track(starts, description, len(starts), progress and rank == 0)
    for start in in_rounds(shown, rounds=ceil(n / (world * batch_size))):
        yield start, min(batch_size, n - start)


def evenly_spaced_numbers(count: int, n: int) -> Tensor:
    """Returns n of the numbers 0 … count - 1, evenly spaced, int64 (n,)."""
    numbers = torch.arange(count)
    return numbers[(numbers + 1) * n // count > numbers * n // count]


def evenly_spaced(data: RealImages, split: str, n: int, size: int = 256) -> Iterator[tuple[int, Tensor]]:
    """Yields n evenly spaced images of a split in parts, uint8 (m, C, H, W), each with the number of its first image.

    Neighbours in a set are often alike (frames of a film, one photographer), so its first images do not represent it.

    Args:
        data: the images.
        split: "train", "test" or "whole".
        n: number of images.
        size: images in a part at most; fewer if they are large (see ``PIXELS``).
    """
    count, passed, start = data.count(split), 0, 0
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[evenly_spaced_numbers(count, n)] = True
    for images in data.images(split):
        kept = images[chosen[passed : passed + len(images)]]
        limit = max(1, min(size, PIXELS // (images.shape[-2] * images.shape[-1])))
        for part in kept.split(limit) if len(kept) else ():
            yield start, part
            start += len(part)
        passed += len(images)
