"""Overlapping tiles blended by a smooth window, for networks that see a whole tile at once.

The tiles agree only as far as the network does with itself on shifted pictures: colours and textures may change from
one to the next, gradually. A network that can be taken apart needs none of this (``gan_lab.inference.tiling.tiling``).
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
    """A picture through the network by tiles that overlap by half, weighted by raised cosines, which add up to one.

    Args:
        network: pictures (1, C, H, W) → pictures (1, C', H, W).
        crop: gives parts of the picture.
        emit: takes the result by rows, from the top down.
        size: (H, W) of the picture.
        tile: side of the tiles; where the picture is smaller, its own.
    """
    high, wide = starts(size[0], tile), starts(size[1], tile)
    weights = windows(high, tile, size[0])
    band: Tensor | None = None
    for index, top in enumerate(track(high, "Rows of tiles", len(high))):
        part = partial(crop, top, min(top + tile, size[0]))
        rows = _row(network, part, wide, size[1], tile) * weights[index][:, None]
        if band is not None:
            rows[:, :, : band.shape[2]] += band
        done = (high[index + 1] if index + 1 < len(high) else size[0]) - top
        emit(top, rows[:, :, :done])
        band = rows[:, :, done:]


def _row(network: Network, crop: Callable[[int, int], Tensor], wide: list[int], width: int, tile: int) -> Tensor:
    """One row of tiles blended along it, (1, C', rows, W) on the CPU."""
    results = (
        network(crop(left, min(left + tile, width))).float().cpu() * window
        for left, window in zip(wide, windows(wide, tile, width), strict=True)
    )
    first = next(results)
    row = first.new_zeros(*first.shape[:3], width)
    for left, result in zip(wide, chain([first], results), strict=True):
        row[..., left : left + tile] += result
    return row


def starts(size: int, tile: int) -> list[int]:
    """Where tiles begin: no more than half a tile apart, evenly, the last ending with the picture."""
    if size <= tile:
        return [0]
    count = math.ceil((size - tile) / (tile / 2)) + 1
    return [round(i * (size - tile) / (count - 1)) for i in range(count)]


def windows(begins: list[int], tile: int, size: int) -> list[Tensor]:
    """The weights (min(tile, size),) of each tile's rows or columns: raised cosines, which add up to one."""
    length = min(tile, size)
    bump = torch.sin(math.pi * (torch.arange(length, dtype=torch.float64) + 0.5) / length).square()
    total = torch.zeros(size, dtype=torch.float64)
    for begin in begins:
        total[begin : begin + length] += bump
    return [(bump / total[begin : begin + length]).float() for begin in begins]
