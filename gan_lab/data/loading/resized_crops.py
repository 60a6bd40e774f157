"""Random resized crops and flips, as StarGAN v2 is trained with (Choi et al. 2020, section A)."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_lab.data.loading.batches import FLIP
from gan_lab.data.loading.keyed_random import keyed_grid, keyed_uniform
from gan_lab.data.loading.rendered import Ragged, Rendered
from gan_lab.data.types import Int64Array, UInt8Array

PROBABILITY = 0.5
"""Share of the images that are cropped."""
AREA, RATIO = (0.8, 1.0), (0.9, 1.1)
"""Bounds of a crop's share of the image, and of its width in heights."""
TRIES = 10
"""Draws of a crop's size, of which the first that fits into the image is taken; if none does, the image stays whole."""

CHOICE, CROP = 9, 10
"""Purposes of random numbers, the last word of their keys: which images are cropped, and how."""


class ResizedCropFlip:
    """Random crops of nearly whole images, resized to the images' size, and random horizontal flips.

    Args:
        whole: the images at their size.
        wide: the same images, larger, of which crops are taken, so that no crop is enlarged; None crops nothing.
        flip: mirrors each image with probability 1/2.
        seed: determines crops and flips, together with the number of the draw and the stream.
    """

    def __init__(self, whole: Rendered, wide: Rendered | None, flip: bool, seed: int) -> None:
        self.whole, self.wide, self.flip, self.seed = whole, wide, flip, seed

    def __call__(self, rows: Int64Array, draws: Int64Array, stream: int) -> Tensor:
        """Returns the images of rows (n,), transformed by the numbers of their draws (n,), uint8 (n, C, H, W)."""
        images = self._pixels(rows)
        if self.wide is not None:
            chosen = keyed_uniform(draws, self.seed, stream, CHOICE) < PROBABILITY
            places = boxes(draws[chosen], self.seed, stream, CROP)
            for number, row, place in zip(np.flatnonzero(chosen), rows[chosen], places, strict=True):
                images[number] = _resized(np.asarray(self.wide.pixels[row]), place, images.shape[2:])
        if self.flip:
            flipped = keyed_uniform(draws, self.seed, stream, FLIP) < 0.5
            images[flipped] = images[flipped][..., ::-1]
        return torch.from_numpy(images)

    def _pixels(self, rows: Int64Array) -> UInt8Array:
        pixels = self.whole.pixels
        if isinstance(pixels, Ragged):
            return np.stack([pixels[row] for row in rows])
        return np.array(pixels[rows])


def boxes(draws: Int64Array, *key: int) -> NDArray[np.float64]:
    """Returns left, top, right and bottom of a random crop for each draw, in shares of the image, float64 (n, 4).

    Areas and logarithms of ratios are uniform within their bounds, and so are places.
    """
    words = keyed_grid(draws, 2 * TRIES + 2, *key)
    chance = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    area = AREA[0] + (AREA[1] - AREA[0]) * chance[:, :TRIES]
    low, high = np.log(RATIO)
    ratio = np.exp(low + (high - low) * chance[:, TRIES : 2 * TRIES])
    sides = np.stack([np.sqrt(area * ratio), np.sqrt(area / ratio)], -1)
    fits = (sides <= 1).all(-1)
    first = sides[np.arange(len(draws)), fits.argmax(1)]
    size = np.where((first <= 1).all(1, keepdims=True), first, 1.0)
    start = (1 - size) * chance[:, -2:]
    return np.concatenate([start, start + size], 1)


def _resized(image: UInt8Array, box: NDArray[np.float64], size: tuple[int, ...]) -> UInt8Array:
    """Returns a crop (C, H, W) of an image (C, h, w), by antialiased bicubic interpolation."""
    height, width = image.shape[1:]
    left, top, right, bottom = box.tolist()
    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    whole = Image.fromarray(np.ascontiguousarray(pixels))
    place = (left * width, top * height, right * width, bottom * height)
    small = np.asarray(whole.resize((size[1], size[0]), Image.Resampling.BICUBIC, place))
    return small[None] if small.ndim == 2 else small.transpose(2, 0, 1)
