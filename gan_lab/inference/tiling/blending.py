"""Overlapping tiles blended by a smooth window, for networks that must see a whole tile at once.

The tiles agree only as far as the network's outputs on shifted images do: colours and textures may change gradually
from one tile to the next. A network that can be decomposed needs none of this (``gan_lab.inference.tiling.exact``).
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import chain

import torch
from torch import Tensor

from gan_lab.common.progress import track
from gan_lab.inference.tiling.maps import Crop, Emit

Network = Callable[[Tensor], Tensor]


@torch.no_grad()
def blend(network: Network, crop: Crop, emit: Emit, size: tuple[int, int], tile: int) -> None:
    """Runs an image through a network by tiles that overlap by half.

    The tiles are weighted by raised cosines, normalised to a sum of one.

    Args:
        network: images (1, C, H, W) → images (1, C', H, W).
        crop: returns parts of the image.
        emit: receives the result by rows, from the top down.
        size: (H, W) of the image.
        tile: side of the tiles; where the image is smaller, its own side.
    """
    tops, lefts = tile_starts(size[0], tile), tile_starts(size[1], tile)
    weights = windows(tops, tile, size[0])
    overlap: Tensor | None = None
    for index, top in enumerate(track(tops, "Rows of tiles", len(tops))):
        part = partial(crop, top, min(top + tile, size[0]))
        rows = _row_of_tiles(network, part, lefts, size[1], tile) * weights[index][:, None]
        if overlap is not None:
            rows[:, :, : overlap.shape[2]] += overlap
        complete = (tops[index + 1] if index + 1 < len(tops) else size[0]) - top
        emit(top, rows[:, :, :complete])
        overlap = rows[:, :, complete:]


def _row_of_tiles(
    network: Network, crop: Callable[[int, int], Tensor], lefts: list[int], width: int, tile: int
) -> Tensor:
    """Returns one row of tiles blended along it, (1, C', rows, W) on the CPU."""
    results = (
        network(crop(left, min(left + tile, width))).float().cpu() * window
        for left, window in zip(lefts, windows(lefts, tile, width), strict=True)
    )
    first = next(results)
    row = first.new_zeros(*first.shape[:3], width)
    for left, result in zip(lefts, chain([first], results), strict=True):
        row[..., left : left + tile] += result
    return row


def tile_starts(size: int, tile: int) -> list[int]:
    """Returns each tile's first row or column: evenly spaced by at most half a tile, the last tile ends at ``size``."""
    if size <= tile:
        return [0]
    count = math.ceil((size - tile) / (tile / 2)) + 1
    return [round(i * (size - tile) / (count - 1)) for i in range(count)]


def windows(starts: list[int], tile: int, size: int) -> list[Tensor]:
    """Returns the weights (min(tile, size),) of each tile's rows or columns: raised cosines with a sum of one."""
    length = min(tile, size)
    bump = torch.sin(math.pi * (torch.arange(length, dtype=torch.float64) + 0.5) / length).square()
    total = torch.zeros(size, dtype=torch.float64)
    for start in starts:
        total[start : start + length] += bump
    return [(bump / total[start : start + length]).float() for start in starts]
