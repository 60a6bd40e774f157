"""Detection of scene changes in recordings."""

from typing import cast

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from gan_lab.data.types import Int64Array, UInt8Array

THUMBNAIL_SIDE, CHUNK = 16, 256
MIN_CHANGE, FACTOR, NEIGHBOURS = 12.0, 3.0, 8


def scene_cuts(frames: UInt8Array) -> Int64Array:
    """Finds the frames with which a new scene begins.

    Such a frame differs from the one before, in the mean absolute difference of 16×16 grey thumbnails, by at least 12
    of 255 levels and by more than three times the median difference of up to eight frames on either side. Therefore
    neither steady movement nor noise counts as a cut. Fades, cuts between equally dark scenes, and cuts among fewer
    than four frames are not found, and a flash counts as two cuts.

    Args:
        frames: uint8 (T, C, H, W).

    Returns:
        Indices of first frames, int64 (cuts,).
    """
    if len(frames) < 2:
        return np.zeros(0, np.int64)
    changes = np.abs(np.diff(_thumbnails(frames), axis=0)).mean((1, 2))
    padded = np.pad(changes, NEIGHBOURS, constant_values=np.nan)
    usual = np.nanmedian(sliding_window_view(padded, 2 * NEIGHBOURS + 1), 1)
    return np.flatnonzero((changes >= MIN_CHANGE) & (changes > FACTOR * usual)) + 1


def _thumbnails(frames: UInt8Array) -> NDArray[np.float32]:
    """The mean of the channels at 16×16, (T, 16, 16), in [0, 255]."""
    parts = [torch.from_numpy(np.array(frames[start : start + CHUNK])) for start in range(0, len(frames), CHUNK)]
    thumbnails = torch.cat([adaptive_avg_pool2d(part.float(), THUMBNAIL_SIDE).mean(1) for part in parts])
    return cast(NDArray[np.float32], thumbnails.numpy())
