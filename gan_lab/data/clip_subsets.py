"""Subsets of clips."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gan_lab.common.capabilities import RealClips
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.progress import track


def spread(numbers: Tensor, count: int, n: int) -> Tensor:
    """Which of these numbers (m,) are among n evenly spread ones of 0 … count - 1, bool; see ``anew``."""
    return (numbers + 1) * n // count > numbers * n // count


def anew(numbers: Tensor, count: int, n: int) -> Tensor:
    """The places 0 … n - 1 of such numbers, of those that ``spread`` keeps."""
    return numbers * n // count


def spread_clips(data: RealClips, split: str, n: int, size: int) -> Iterator[tuple[int, Tensor]]:
    """So many clips evenly spread over the split, uint8 (m, T, C, H, W), each part with the number of its first one."""
    count, passed, start = data.count(split), 0, 0
    for clips in data.clips(split):
        kept = clips[spread(torch.arange(passed, passed + len(clips)), count, n)]
        for part in kept.split(size) if len(kept) else ():
            yield start, part
            start += len(part)
        passed += len(clips)


def shared_clips(
    data: RealClips, split: str, n: int, size: int, progress: bool = True
) -> Iterator[tuple[Tensor, Tensor]]:
    """A rank's share of n clips that are evenly spread over a split: their numbers (m,), uint8 (m, T, C, H, W)."""
    rank, world = rank_and_world_size()
    parts = track(spread_clips(data, split, n, size), "clips", n, progress and rank == 0, lambda part: len(part[1]))
    for number, (start, clips) in enumerate(parts):
        if number % world == rank:
            yield torch.arange(start, start + len(clips)), clips
