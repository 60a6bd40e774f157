"""Subsets of a split."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gan_lab.common.capabilities import RealImages
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.progress import track

PIXELS = 2**20
"""No part of a set holds more, single pictures aside: 256 pictures of 64×64, or 16 of 256×256."""


def some(data: RealImages, split: str, n: int | None) -> int:
    """How many pictures a split has, n at most."""
    count = data.count(split)
    return min(count, n or count)


def shared_blocks(n: int, batch_size: int, description: str, progress: bool = True) -> Iterator[tuple[int, int]]:
    """Blocks of the numbers 0 … n - 1, each (first, how many); ranks take turns."""
    rank, world = rank_and_world_size()
    starts = range(rank * batch_size, n, world * batch_size)
    for start in track(starts, description, len(starts), progress and rank == 0):
        yield start, min(batch_size, n - start)


def spread_numbers(count: int, n: int) -> Tensor:
    """Which n of so many numbers are evenly spread over them."""
    numbers = torch.arange(count)
    return numbers[(numbers + 1) * n // count > numbers * n // count]


def spread(side: RealImages, split: str, n: int, size: int = 256) -> Iterator[tuple[int, Tensor]]:
    """So many pictures evenly spread over the split, uint8 (m, C, H, W), each part with the number of its first one.

    Neighbours in a set are often alike (frames, one photographer), so its first pictures would not stand for it.

    Args:
        size: pictures in a part at most; fewer of large ones (see ``PIXELS``).
    """
    count, passed, start = side.count(split), 0, 0
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[spread_numbers(count, n)] = True
    for images in side.images(split):
        kept = images[chosen[passed : passed + len(images)]]
        most = max(1, min(size, PIXELS // (images.shape[-2] * images.shape[-1])))
        for part in kept.split(most) if len(kept) else ():
            yield start, part
            start += len(part)
        passed += len(images)
