"""Windows around what is to be filled, for models that see a whole image: large photographs have little unknown."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import find_objects, label
from torch import Tensor

Window = tuple[slice, slice]
"""Rows and columns."""

CONTEXT = 64
"""Least width of the surroundings that a window has, in pixels; wide zones get surroundings of their own width."""
LARGEST = 1024 * 1024
"""Pixels of a window above which it is filled at a smaller size."""


def windows(known: Tensor) -> Iterator[Window]:
    """Yields windows that hold all unknown pixels of (1, H, W), with surroundings; windows that meet are joined.

    Args:
        known: 1 at known pixels, 0 elsewhere.
    """
    height, width = known.shape[1:]
    zones, _ = label(known[0].numpy() == 0, np.ones((3, 3)))
    boxes = [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in find_objects(zones)]
    found: list[tuple[int, int, int, int]] = []
    for top, bottom, left, right in boxes:
        margin = max(CONTEXT, bottom - top, right - left)
        box = max(0, top - margin), min(height, bottom + margin), max(0, left - margin), min(width, right + margin)
        while meeting := [each for each in found if _meet(each, box)]:
            found = [each for each in found if each not in meeting]
            sides = list(zip(box, *meeting, strict=True))
            box = min(sides[0]), max(sides[1]), min(sides[2]), max(sides[3])
        found.append(box)
    for top, bottom, left, right in found:
        yield slice(top, bottom), slice(left, right)


def _meet(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def shrunk(pixels: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Returns float pixels (1, C, h, w) and known pixels (1, 1, h, w) at a size that is not above ``LARGEST``.

    A small pixel is known if all pixels that it stands for are. Grey of unknown pixels does not reach known ones.

    Args:
        pixels: (1, C, H, W) in [-1, 1].
        known: (1, 1, H, W), 1 or 0.
    """
    scale = (LARGEST / (pixels.shape[2] * pixels.shape[3])) ** 0.5
    if scale >= 1:
        return pixels, known
    size = [max(1, int(side * scale)) for side in pixels.shape[2:]]
    share = F.interpolate(known, size, mode="bilinear", antialias=True)
    mean = F.interpolate(pixels * known, size, mode="bilinear", antialias=True) / share.clamp(min=1e-3)
    return mean.clamp(-1, 1), (share > 1 - 1e-3).float()


def enlarged(pixels: Tensor, size: torch.Size) -> Tensor:
    """Returns pixels (1, C, h, w) at another size (H, W)."""
    return pixels if pixels.shape[2:] == size else F.interpolate(pixels, size, mode="bicubic").clamp(-1, 1)
