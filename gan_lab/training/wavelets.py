"""Linear maps along one side of an image, as matrices: doubling, halving and octave bands by wavelet filters.

Images go on beyond their edges as their own mirror images.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

SYM6 = [
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
]  # fmt: skip
SYM2 = [-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025]
"""Low-pass filters of the symlets with 6 and 2 vanishing moments (Daubechies 1992); those of two samples apart are
orthogonal.
"""
BEFORE = len(SYM6) // 2 - 1
"""Samples of the doubled side that the first pixel is computed from, before its own two."""
LEAD = (len(SYM6) - 1) / 2 - sum(place * tap for place, tap in enumerate(SYM6)) / sum(SYM6)
"""Samples by which a doubled side is ahead, as the filter is not symmetric; without it, flips would shift images."""
BANDS = 4


@cache
def placed(make: Callable[..., Tensor], *arguments: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Returns a constant tensor of any shape, made once for each device and type."""
    return make(*arguments).to(device, dtype)


def doubling(side: int, border: int) -> Tensor:
    """Returns a matrix (2 · (side + 2 · border), side), float64: doubles a side, continued by a border of pixels."""
    samples = torch.arange(-2 * border, 2 * (side + border))
    matrix = torch.zeros(len(samples), side, dtype=torch.float64)
    for place, tap in enumerate(SYM6):
        twice = samples + BEFORE - place
        rows = (twice % 2 == 0).nonzero()[:, 0]
        matrix.index_put_((rows, mirrored(twice[rows] // 2, side)), matrix.new_tensor(math.sqrt(2) * tap), True)
    return matrix


def halving(side: int) -> Tensor:
    """Returns a matrix (side, 2 · (side + ``BEFORE``)), float64: halves a doubled side that begins ``BEFORE`` samples
    early and ends as many late. It undoes ``doubling``, exactly.
    """
    matrix = torch.zeros(side, 2 * (side + BEFORE), dtype=torch.float64)
    for place, tap in enumerate(SYM6):
        pixels = torch.arange(side)
        matrix[pixels, 2 * pixels + place] = tap / math.sqrt(2)
    return matrix


def bands(side: int) -> Tensor:
    """Returns matrices (``BANDS``, side, side), float64, that keep an octave each, from the lowest; their sum is 1."""
    low = _convolved(torch.tensor(SYM2, dtype=torch.float64), torch.tensor(SYM2, dtype=torch.float64).flip(0)) / 2
    filters, rest = [], torch.ones(1, dtype=torch.float64)  # the part below the octaves so far
    for octave in range(BANDS - 1):
        stretched = torch.zeros((len(low) - 1) * 2**octave + 1, dtype=torch.float64)
        stretched[:: 2**octave] = low
        below = _convolved(rest, stretched)
        filters.append(F.pad(rest, ((len(below) - len(rest)) // 2,) * 2) - below)
        rest = below
    return torch.stack([_filtering(each, side) for each in [rest, *filters[::-1]]])


def mirrored(index: Tensor, side: int) -> Tensor:
    """Returns indices of any shape of the pixels in [0, side) that are seen at these indices of the mirrored side."""
    period = max(1, 2 * (side - 1))
    index = index % period
    return torch.minimum(index, period - index).clamp(max=side - 1)


def _convolved(a: Tensor, b: Tensor) -> Tensor:
    """Returns the convolution of two filters, of lengths n and m: (n + m - 1,)."""
    return F.conv1d(a[None, None], b.flip(0)[None, None], padding=len(b) - 1)[0, 0]


def _filtering(taps: Tensor, side: int) -> Tensor:
    """Returns the matrix (side, side) of a filter of odd length, with its middle at each pixel."""
    matrix, pixels = torch.zeros(side, side, dtype=torch.float64), torch.arange(side)
    for place, tap in enumerate(taps):
        matrix.index_put_((pixels, mirrored(pixels + place - len(taps) // 2, side)), tap, True)
    return matrix
