"""Where the scenes of a recording change."""

from typing import cast

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from gan_lab.data.reading.pictures import Bytes, Indices

THUMB, CHUNK = 16, 256
FLOOR, FACTOR, NEAR = 12.0, 3.0, 8


def cuts(frames: Bytes) -> Indices:
    """The frames (T, C, H, W) with which a new scene begins, int64.

    Such a frame differs from the one before, in mean absolute grey levels of 16×16 thumbnails, by 12 of 255 at least
    and by three times the median of the differences up to eight frames away. So neither steady movement nor noise is
    taken for a cut; a fade, a cut between scenes equally dark, and one among fewer than four frames are not found, and
    a flash counts as two cuts.
    """
    if len(frames) < 2:
        return np.zeros(0, np.int64)
    changes = np.abs(np.diff(_thumbs(frames), axis=0)).mean((1, 2))
    padded = np.pad(changes, NEAR, constant_values=np.nan)
    usual = np.nanmedian(sliding_window_view(padded, 2 * NEAR + 1), 1)
    return np.flatnonzero((changes >= FLOOR) & (changes > FACTOR * usual)) + 1


def _thumbs(frames: Bytes) -> NDArray[np.float32]:
    """Grey (T, 16, 16), the mean of the channels, 0 to 255."""
    parts = [torch.from_numpy(np.array(frames[start : start + CHUNK])) for start in range(0, len(frames), CHUNK)]
    thumbs = torch.cat([adaptive_avg_pool2d(part.float(), THUMB).mean(1) for part in parts])
    return cast(NDArray[np.float32], thumbs.numpy())
