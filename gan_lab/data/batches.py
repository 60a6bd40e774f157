"""Batches of rendered pictures with keyed random crops and flips."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from gan_lab.data.cache import Rendered
from gan_lab.data.loader import Key, keyed_uniform
from gan_lab.data.pictures import Bytes, Indices
from gan_lab.types import Batch

FLIP, TOP, LEFT = range(3)


class PictureBatches:
    """``image`` uint8 (n, C, H, W), and ``label`` int64 (n,) if they are wanted and known (satisfies ``Keyed``).

    Args:
        rendered: the pixels. Where their box is larger than their size, a random part of that size is taken.
        flip: mirrors every second picture, by chance.
        seed: with epoch and row, determines crops and flips.
        labelled: whether the batches have labels.
    """

    def __init__(self, rendered: Rendered, flip: bool, seed: int, labelled: bool = True) -> None:
        self.rendered, self.flip, self.seed = rendered, flip, seed
        self.labels = rendered.labels if labelled else None

    def __getitem__(self, key: Key) -> Batch:
        epoch, rows = key
        image = self._cropped(epoch, rows)
        if self.flip:
            chosen = keyed_uniform(rows, self.seed, epoch, FLIP) < 0.5
            image[chosen] = image[chosen][..., ::-1]
        batch = {"image": torch.from_numpy(image)}
        if self.labels is not None:
            batch["label"] = torch.from_numpy(self.labels[rows])
        return batch

    def _cropped(self, epoch: int, rows: Indices) -> Bytes:
        pixels, frame = self.rendered.pixels, self.rendered.frame
        if frame.box == frame.size:
            return np.asarray(pixels[rows])
        windows = sliding_window_view(pixels, frame.size, axis=(2, 3))
        top, left = (
            (keyed_uniform(rows, self.seed, epoch, draw) * windows.shape[axis]).astype(np.int64)
            for draw, axis in ((TOP, 2), (LEFT, 3))
        )
        return np.asarray(windows[rows, :, top, left])


def in_order(rendered: Rendered, limit: int | None = None, batch_size: int = 256) -> Iterator[Tensor]:
    """The central parts of the pictures as they are, uint8 (n, C, H, W), the first ``limit`` of them."""
    count = len(rendered) if limit is None else min(limit, len(rendered))
    for start in range(0, count, batch_size):
        rows = rendered.pixels[start : min(start + batch_size, count)]
        yield torch.from_numpy(np.array(rendered.frame.centre(rows)))
