"""Two-coloured pictures drawn from grey ones, for Bernoulli likelihoods.

Sources: Salakhutdinov & Murray, On the quantitative analysis of deep belief networks, ICML 2008; Larochelle & Murray,
The neural autoregressive distribution estimator, AISTATS 2011 (drawn once).
"""

from dataclasses import replace
from math import prod
from typing import cast

import numpy as np
import torch

from gan_lab.common.types import Batch
from gan_lab.data.loading.batches import ANEW, ONCE
from gan_lab.data.loading.cache import Rendered, digests
from gan_lab.data.loading.keyed import Key, Keyed, keyed_grid
from gan_lab.data.reading.pictures import Bytes, Indices

AT_ONCE = 1 << 17  # values: their words of 8 bytes stay in a processor's cache


def drawn(pixels: Bytes, rows: Indices, *key: int) -> Bytes:
    """Each value v of pixels uint8 (n, C, H, W) becomes 255 with probability v / 255, else 0.

    A function of value, place, row and key alone; ``rows`` are (n,).
    """
    found = np.empty(pixels.shape, np.uint8)
    values = prod(pixels.shape[1:])
    step = max(1, AT_ONCE // values)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        # the upper half of a word, scaled to 0 … 254 in whole numbers: 0 is never drawn, 255 always
        levels = (keyed_grid(rows[part], values, *key) >> np.uint64(32)) * np.uint64(255) >> np.uint64(32)
        found[part] = (levels.reshape(-1, *pixels.shape[1:]) < pixels[part]) * np.uint8(255)
    return found


def drawn_once(rendered: Rendered, rows: Indices, seed: int, split: int) -> Rendered:
    """A set of pictures of one size, drawn by seed and the split's number; in memory.

    Args:
        rendered: the grey pixels.
        rows: (N,), what each picture is known by.
    """
    pixels = drawn(cast(Bytes, rendered.pixels), rows, seed, split, ONCE)
    return replace(rendered, pixels=pixels, digests=digests(pixels, rendered.frame))


class DrawnAnew:
    """Batches whose ``image`` is drawn by seed, epoch and row (satisfies ``Keyed``).

    Args:
        batches: with ``image`` uint8 (n, C, H, W), cropped and flipped.
        seed: of the run.
    """

    def __init__(self, batches: Keyed, seed: int) -> None:
        self.batches, self.seed = batches, seed

    def __getitem__(self, key: Key) -> Batch:
        epoch, rows = key
        batch = self.batches[key]
        return {**batch, "image": torch.from_numpy(drawn(batch["image"].numpy(), rows, self.seed, epoch, ANEW))}
