"""Subsets of a split of clips."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gan_lab.common.capabilities import RealClips
from gan_lab.common.distributed import rank_and_world_size
from gan_lab.common.progress import track
from gan_lab.common.stopping import in_rounds


def evenly_spaced(numbers: Tensor, count: int, n: int) -> Tensor:
    """Tells which of these numbers are among n evenly spaced ones of 0 … count - 1.

    Args:
        numbers: int64 (N,).
        count: size of the whole.
        n: size of the subset.

    Returns:
        bool (N,).
    """
    return (numbers + 1) * n // count > numbers * n // count


def renumber(numbers: Tensor, count: int, n: int) -> Tensor:
    """Returns the places 0 … n - 1, int64 (N,), of numbers int64 (N,) that ``evenly_spaced`` keeps."""
    return numbers * n // count


def evenly_spaced_clips(data: RealClips, split: str, n: int, size: int) -> Iterator[tuple[int, Tensor]]:
    """Yields n evenly spaced clips of a split in parts of at most ``size`` clips.

    Each part is uint8 (m, T, C, H, W), and comes with the number of its first clip.
    """
    count, passed, start = data.count(split), 0, 0
    for clips in data.clips(split):
        kept = clips[evenly_spaced(torch.arange(passed, passed + len(clips)), count, n)]
        for part in kept.split(size) if len(kept) else ():
            yield start, part
            start += len(part)
        passed += len(clips)


def shared_clips(
    data: RealClips, split: str, n: int, size: int, progress: bool = True
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields this rank's share of n evenly spaced clips: their numbers int64 (m,), and uint8 (m, T, C, H, W)."""
    rank, world = rank_and_world_size()
    spaced = evenly_spaced_clips(data, split, n, size)
    parts = track(spaced, "clips", n, progress and rank == 0, lambda part: len(part[1]))
    for number, (start, clips) in enumerate(in_rounds(parts, world)):
        if number % world == rank:
            yield torch.arange(start, start + len(clips)), clips
