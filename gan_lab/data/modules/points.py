"""Mixtures of Gaussians in the plane, which show at once whether a model misses modes."""

import math
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from gan_lab.common.bounds import Natural, NonNegative, PositiveFloat, PositiveInt, Seed
from gan_lab.common.capabilities import Identity
from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch
from gan_lab.data.checks import check_choice
from gan_lab.data.loading.keyed_random import keyed_uniform
from gan_lab.data.loading.loader import EpochBatchSampler, Key, KeyedLoader, sampler_position

MODE, RADIUS, ANGLE = range(3)
"""Purposes of random numbers, the last word of their keys."""


class MixtureBatches:
    """Batches of an endless mixture of Gaussians; each point is a function of (seed, epoch, row) (a ``BatchDataset``).

    Args:
        centres: means of the modes, (K, 2).
        deviation: standard deviation of each mode in either direction.
        seed: see above.
    """

    def __init__(self, centres: Tensor, deviation: float, seed: int) -> None:
        self.centres, self.deviation, self.seed = centres, deviation, seed

    def __getitem__(self, key: Key) -> Batch:
        epoch, rows = key
        mode, radius, angle = (keyed_uniform(rows, self.seed, epoch, purpose) for purpose in (MODE, RADIUS, ANGLE))
        modes = torch.from_numpy((mode * len(self.centres)).astype(np.int64))
        distance = self.deviation * np.sqrt(-2 * np.log1p(-radius))  # Box and Muller 1958
        offset = np.stack([distance * np.cos(2 * math.pi * angle), distance * np.sin(2 * math.pi * angle)], 1)
        points = self.centres[modes] + torch.from_numpy(offset).float()
        return {"image": points[:, :, None, None], "label": modes}


class PointsDataModule(LightningDataModule):
    """Batches with ``image`` float32 (N, 2, 1, 1), about [-1, 1], and ``label`` int64 (N,), the number of the mode.

    Satisfies ``gan_lab.common.capabilities.Mixture``.

    Attributes:
        centres: means of the modes, (K, 2), in the scaled coordinates.
        deviation: standard deviation of each mode, in the scaled coordinates.

    Args:
        layout: "ring", 8 modes on a circle, or "grid", 25 modes.
        spacing: distance of neighbours in the grid (2 in the literature, from -4 to 4); the radius of the ring.
        deviation: standard deviation of each mode (0.05 and 0.02 in the literature).
        scale: the coordinate that becomes 1.
        count: points per epoch.
        batch_size: over all ranks.
        seed: of the points.
        name, channels, size, classes: stated as for every set: a point is an image of 2 channels and 1×1 pixels.
        workers: processes that make batches.

    Raises:
        UserError: for an unknown layout, and for channels, sizes and classes that the points do not have.
    """

    def __init__(
        self,
        layout: str,
        spacing: PositiveFloat,
        deviation: NonNegative,
        scale: PositiveFloat,
        count: PositiveInt,
        batch_size: PositiveInt,
        seed: Seed = 0,
        name: str = "gaussians",
        workers: Natural = 0,
        channels: PositiveInt = 2,
        size: Sequence[PositiveInt] = (1, 1),
        classes: Natural | None = None,
    ) -> None:
        super().__init__()
        layouts = {"ring": _ring, "grid": _grid}
        check_choice("layout", layout, tuple(layouts))
        if channels != 2 or list(size) != [1, 1]:
            raise UserError("Points have 2 channels and 1×1 pixels: leave out data.channels and data.size.")
        self.name, self.layout = name, layout
        self.facts = {"spacing": spacing, "deviation": deviation, "scale": scale}
        self.centres, self.deviation = layouts[layout](spacing) / scale, deviation / scale
        self.count, self.batch_size, self.seed, self.workers = count, batch_size, seed, workers
        self.classes = len(self.centres)
        if classes not in (None, self.classes):
            raise UserError(f"data.layout={layout} has {self.classes} modes: give data.classes={self.classes}.")

    def train_dataloader(self) -> KeyedLoader:
        """Returns batches of this rank's part, from the module's ``iteration`` on; see ``KeyedLoader``."""
        batches = EpochBatchSampler(self.count, self.batch_size, self.seed, **sampler_position(self.trainer))
        return KeyedLoader(MixtureBatches(self.centres, self.deviation, self.seed), batches, self.workers, self.trainer)

    def points(self, n: int) -> Tensor:
        """Returns points to look at, (n, 2)."""
        batch = MixtureBatches(self.centres, self.deviation, self.seed)[0, np.arange(n)]
        return batch["image"].flatten(1)

    def identities(self) -> dict[str, Identity]:
        """Returns what the endless points are known again by: their number in an epoch, and a hash of the mixture."""
        digest = blake2b(self.centres.numpy().tobytes() + f"{self.deviation}".encode(), digest_size=16)
        return {"train": {"count": self.count, "hash": digest.hexdigest()}}

    def describe(self) -> dict[str, object]:
        """Returns plain facts for an evaluation protocol."""
        return {"name": self.name, "layout": self.layout, "modes": self.classes, **self.facts}


def _ring(radius: float, modes: int = 8) -> Tensor:
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return radius * torch.stack([angles.cos(), angles.sin()], 1)


def _grid(spacing: float, side: int = 5) -> Tensor:
    line = spacing * (torch.arange(side) - (side - 1) / 2)
    return torch.cartesian_prod(line, line)
