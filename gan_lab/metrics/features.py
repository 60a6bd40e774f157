"""Features of whole sets of pictures, picture by picture: what distances over pairs need."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics import Metric

from gan_lab.metrics.cache import cached, ranks
from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.statistics import Device, identity
from gan_lab.progress import track
from gan_lab.types import Domain, RealImages, to_uint8

PIXELS = 2**20
"""No part of a set holds more, single pictures aside: 256 pictures of 64×64, or 16 of 256×256."""

_VERSION = 1
"""Of the path from picture to features: raise it where that path changes."""


class FeatureTable(Metric):
    """The features of n numbered pictures that arrive in any order and on any rank.

    Args:
        dim: d, the dimension of the features.
        n: the number of pictures that will come, over all ranks.
    """

    full_state_update = False
    rows: Tensor
    seen: Tensor

    def __init__(self, dim: int, n: int) -> None:
        super().__init__()
        self.add_state("rows", torch.zeros(n, dim), dist_reduce_fx="sum")
        self.add_state("seen", torch.zeros(n, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, features: Tensor, start: int) -> None:
        """Features (m, d) of pictures start, start + 1, …."""
        self.rows[start : start + len(features)] += features.detach().to(self.rows)
        self.seen[start : start + len(features)] += 1

    def compute(self) -> Tensor:
        """Float32 (n, d) on the CPU, over all ranks (a collective). Raises RuntimeError unless each came once."""
        if not (self.seen == 1).all():
            raise RuntimeError(
                f"Of {len(self.seen)} pictures {int((self.seen != 1).sum())} were not counted just once."
            )
        return self.rows.cpu()


def spread(side: RealImages, split: str, n: int, size: int = 256) -> Iterator[tuple[int, Tensor]]:
    """So many pictures evenly spread over the split, uint8 (m, C, H, W), each part with the number of its first one.

    Neighbours in a set are often alike (frames, one photographer), so its first pictures would not stand for it.

    Args:
        size: pictures in a part at most; fewer of large ones (see ``PIXELS``).
    """
    count, passed, start = side.count(split), 0, 0
    for images in side.images(split):
        numbers = torch.arange(passed, passed + len(images))
        chosen = images[(numbers + 1) * n // count > numbers * n // count]
        most = max(1, min(size, PIXELS // (images.shape[-2] * images.shape[-1])))
        for part in chosen.split(most) if len(chosen) else ():
            yield start, part
            start += len(part)
        passed += len(images)


def seen(domain: Domain, pixels: Tensor) -> Tensor:
    """Pixels as they are stored → uint8 pictures (N, 1 or 3, H, W) that an extractor takes: maps in their colours."""
    return to_uint8(domain.visible(domain.encode(pixels))) if domain.labels else pixels


def real_features(
    side: RealImages,
    split: str,
    n: int,
    domain: Domain,
    extractor: Extractor,
    device: Device = "cpu",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Tensor:
    """Features (n, d) of n pictures spread over a split, from the cache or shared between ranks; a collective."""

    def compute() -> dict[str, Tensor]:
        extractor.to(device)
        table, (rank, world) = FeatureTable(extractor.dim, n).to(device), ranks()
        parts = track(spread(side, split, n), f"real pictures, {extractor.name}", None, progress and rank == 0)
        for number, (start, images) in enumerate(parts):
            if number % world == rank:
                table.update(extractor(seen(domain, images.to(device)))[0], start)
        return {"features": table.compute()}

    key = ["features", _VERSION, side.fingerprint(split), n, domain.labels, *identity(extractor)]
    return cached(key, compute, cache_dir)["features"]
