"""Batches of rendered pictures with keyed random crops and flips."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.types import Batch
from gan_lab.data.loading.cache import Ragged, Rendered
from gan_lab.data.loading.keyed import Key, keyed_uniform
from gan_lab.data.reading.pictures import Bytes

FLIP, TOP, LEFT, ANEW, ONCE = range(5)
"""What a number is drawn for: the last word of its key."""


class Views:
    """Random views of pictures: parts of the frame's size where it has one, and mirrored.

    Pictures of equal size get the same views from the same seed, as the halves of pairs must.

    Args:
        rendered: the pixels.
        flip: mirrors every second picture, by chance.
        seed: with epoch and row, determines crops and flips.
    """

    def __init__(self, rendered: Rendered, flip: bool, seed: int) -> None:
        self.rendered, self.flip, self.seed = rendered, flip, seed

    def __call__(self, key: Key) -> Tensor:
        """Views of the rows, uint8 (n, C, H, W)."""
        epoch, rows = key
        views = self._cropped(key)
        if self.flip:
            chosen = keyed_uniform(rows, self.seed, epoch, FLIP) < 0.5
            views[chosen] = views[chosen][..., ::-1]
        return torch.from_numpy(views)

    def _cropped(self, key: Key) -> Bytes:
        epoch, rows = key
        pixels, size = self.rendered.pixels, self.rendered.frame.size
        if not isinstance(pixels, Ragged) and size in (None, pixels.shape[2:]):
            return np.asarray(pixels[rows])
        if size is None:
            return np.stack([pixels[row] for row in rows])
        top, left = (keyed_uniform(rows, self.seed, epoch, draw) for draw in (TOP, LEFT))
        return np.stack([_part(pixels[row], size, y, x) for row, y, x in zip(rows, top, left, strict=True)])


def _part(picture: Bytes, size: tuple[int, int], top: float, left: float) -> Bytes:
    """The part of that size at a share of the room there is, each place as likely as any other."""
    (height, width), (whole_height, whole_width) = size, picture.shape[1:]
    y, x = int(top * (whole_height - height + 1)), int(left * (whole_width - width + 1))
    return picture[:, y : y + height, x : x + width]


class PictureBatches:
    """``image`` uint8 (n, C, H, W), and ``label`` int64 (n,) if they are wanted and known (satisfies ``Keyed``).

    Args:
        rendered, flip, seed: what ``Views`` takes.
        labelled: whether the batches have labels.
    """

    def __init__(self, rendered: Rendered, flip: bool, seed: int, labelled: bool = True) -> None:
        self.views = Views(rendered, flip, seed)
        self.labels = rendered.labels if labelled else None

    def __getitem__(self, key: Key) -> Batch:
        batch = {"image": self.views(key)}
        return batch if self.labels is None else {**batch, "label": torch.from_numpy(self.labels[key[1]])}


class SideBatches:
    """Pictures of several sets, uint8 (n, C, H, W) each, by name (satisfies ``Keyed``).

    Args:
        views: of each set.
    """

    def __init__(self, views: Mapping[str, Views]) -> None:
        self.views = views

    def __getitem__(self, keys: Mapping[str, Key]) -> Batch:
        return {name: views(keys[name]) for name, views in self.views.items()}


def in_order(rendered: Rendered, limit: int | None = None, batch_size: int = 256) -> Iterator[Tensor]:
    """The central parts of the pictures as they are, uint8 (n, C, H, W), the first ``limit`` of them.

    Of different sizes, those that follow each other in the same one come together.
    """
    count = len(rendered) if limit is None else min(limit, len(rendered))
    pixels, frame = rendered.pixels, rendered.frame
    for start, end in _runs(rendered, count, batch_size):
        rows = np.stack([pixels[row] for row in range(start, end)]) if isinstance(pixels, Ragged) else pixels[start:end]
        yield torch.from_numpy(np.array(frame.centre(rows)))


def _runs(rendered: Rendered, count: int, most: int) -> Iterator[tuple[int, int]]:
    """Bounds of runs of pictures of one size, ``most`` at most in each."""
    shapes = rendered.shapes[:count]
    changes = np.flatnonzero((shapes[1:] != shapes[:-1]).any(1)) + 1
    for begin, end in zip([0, *changes], [*changes, count], strict=True):
        for start in range(begin, end, most):
            yield start, min(start + most, end)
