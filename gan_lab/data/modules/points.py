"""Mixtures of Gaussians in the plane: whoever loses modes is seen at once."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch
from gan_lab.data.loading.keyed import Key, KeyedBatches, KeyedLoader, keyed_uniform, position

MODE, RADIUS, ANGLE = range(3)


class Mixture:
    """Endless points about centres, each a function of (seed, epoch, row) (satisfies ``Keyed``).

    Args:
        centres: (K, 2).
        deviation: of the points about theirs, in either direction.
        seed: see above.
    """

    def __init__(self, centres: Tensor, deviation: float, seed: int) -> None:
        self.centres, self.deviation, self.seed = centres, deviation, seed

    def __getitem__(self, key: Key) -> Batch:
        epoch, rows = key
        mode, radius, angle = (keyed_uniform(rows, self.seed, epoch, draw) for draw in (MODE, RADIUS, ANGLE))
        modes = torch.from_numpy((mode * len(self.centres)).astype(np.int64))
        distance = self.deviation * np.sqrt(-2 * np.log1p(-radius))  # Box and Muller 1958
        offset = np.stack([distance * np.cos(2 * math.pi * angle), distance * np.sin(2 * math.pi * angle)], 1)
        points = self.centres[modes] + torch.from_numpy(offset).float()
        return {"image": points[:, :, None, None], "label": modes}


class PointsDataModule(LightningDataModule):
    """Batches ``image`` float32 (N, 2, 1, 1), about [-1, 1], and ``label``, the number of the mode.

    Attributes:
        centres: (K, 2), scaled as the points are.
        deviation: scaled alike.

    Args:
        layout: "ring", of 8 on a circle, or "grid", of 25.
        spacing: between neighbours of the grid (the literature's 2, from -4 to 4); of the ring, its radius.
        deviation: of the points about each centre (the literature's 0.05 and 0.02).
        reach: what becomes 1 by the scaling.
        count: points in an epoch.
        batch_size: over all ranks.
        seed: of the points.
        name, channels, size, classes: as every set states them: a point is a picture of 2 channels and 1×1 pixels.

    Raises:
        UserError: for another layout, and for channels, sizes and classes that the points do not have.
    """

    def __init__(
        self,
        layout: str,
        spacing: float,
        deviation: float,
        reach: float,
        count: int,
        batch_size: int,
        seed: int = 0,
        name: str = "gaussians",
        workers: int = 0,
        channels: int = 2,
        size: Sequence[int] = (1, 1),
        classes: int | None = None,
    ) -> None:
        super().__init__()
        layouts = {"ring": _ring, "grid": _grid}
        if layout not in layouts:
            raise UserError(f"data.layout={layout} does not serve: give ring or grid.")
        if channels != 2 or list(size) != [1, 1]:
            raise UserError("Points have 2 channels and 1×1 pixels: leave data.channels and data.size away.")
        self.name, self.layout = name, layout
        self.stated = {"spacing": spacing, "deviation": deviation, "reach": reach}
        self.centres, self.deviation = layouts[layout](spacing) / reach, deviation / reach
        self.count, self.batch_size, self.seed, self.workers = count, batch_size, seed, workers
        self.classes = len(self.centres)
        if classes not in (None, self.classes):
            raise UserError(f"data.layout={layout} has {self.classes} modes: give data.classes={self.classes}.")

    def train_dataloader(self) -> KeyedLoader:
        """Batches of this rank's part, without end, from the one that the module's ``iteration`` counts."""
        batches = KeyedBatches(self.count, self.batch_size, self.seed, **position(self.trainer))
        return KeyedLoader(Mixture(self.centres, self.deviation, self.seed), batches, self.workers)

    def points(self, n: int) -> Tensor:
        """Points to look at, (n, 2)."""
        made = Mixture(self.centres, self.deviation, self.seed)[0, np.arange(n)]
        return made["image"].flatten(1)

    def describe(self) -> dict[str, Any]:
        """Plain facts for a protocol."""
        return {"name": self.name, "layout": self.layout, "modes": self.classes, **self.stated}


def _ring(radius: float, modes: int = 8) -> Tensor:
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return radius * torch.stack([angles.cos(), angles.sin()], 1)


def _grid(spacing: float, side: int = 5) -> Tensor:
    line = spacing * (torch.arange(side) - (side - 1) / 2)
    return torch.cartesian_prod(line, line)
