"""Binary images sampled from grey ones, for Bernoulli likelihoods.

Sources: Salakhutdinov & Murray, On the quantitative analysis of deep belief networks, ICML 2008 (dynamic); Larochelle &
Murray, The neural autoregressive distribution estimator, AISTATS 2011 (static).
"""

from dataclasses import replace
from math import prod
from typing import cast

import numpy as np
import torch

from gan_lab.common.types import Batch
from gan_lab.data.loading.batches import DYNAMIC, STATIC
from gan_lab.data.loading.keyed_random import keyed_grid
from gan_lab.data.loading.loader import BatchDataset, Key
from gan_lab.data.loading.rendered import Rendered, digests
from gan_lab.data.types import Int64Array, UInt8Array

CHUNK = 1 << 17  # values: their random words of 8 bytes fit in a processor's cache


def binarize(pixels: UInt8Array, rows: Int64Array, *key: int) -> UInt8Array:
    """Replaces each value v by 255 with probability v / 255, else by 0.

    The result depends on value, place, row and key alone.

    Args:
        pixels: uint8 (n, C, H, W).
        rows: int64 (n,), numbers of the images.
        key: what else determines the random numbers.

    Returns:
        uint8 (n, C, H, W).
    """
    binary = np.empty(pixels.shape, np.uint8)
    values = prod(pixels.shape[1:])
    step = max(1, CHUNK // values)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        # the upper half of a word, scaled to 0 … 254 in integers: 0 never becomes 255, and 255 always stays
        levels = (keyed_grid(rows[part], values, *key) >> np.uint64(32)) * np.uint64(255) >> np.uint64(32)
        binary[part] = (levels.reshape(-1, *pixels.shape[1:]) < pixels[part]) * np.uint8(255)
    return binary


def static_binarization(rendered: Rendered, rows: Int64Array, seed: int, split: int) -> Rendered:
    """Binarizes a set of images of one size once, in memory.

    Args:
        rendered: the grey pixels.
        rows: int64 (N,), numbers of the images.
        seed: determines the result, together with the split.
        split: number of the split.
    """
    pixels = binarize(cast(UInt8Array, rendered.pixels), rows, seed, split, STATIC)
    return replace(rendered, pixels=pixels, digests=digests(pixels, rendered.spec))


class DynamicBinarization:
    """Batches with an ``image`` that is binarized differently in every epoch (a ``BatchDataset``).

    Args:
        batches: batches with ``image`` uint8 (n, C, H, W), cropped and flipped.
        seed: determines the result, together with epoch and row.
    """

    def __init__(self, batches: BatchDataset[Key], seed: int) -> None:
        self.batches, self.seed = batches, seed

    def __getitem__(self, key: Key) -> Batch:
        epoch, rows = key
        batch = self.batches[key]
        return {**batch, "image": torch.from_numpy(binarize(batch["image"].numpy(), rows, self.seed, epoch, DYNAMIC))}
