"""What is known of a set of pictures in an extractor's eyes, cached for those that do not change."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_lab.metrics.cache import cached, ranks
from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.frechet import FeatureMoments, Moments
from gan_lab.metrics.gaussian import PixelGaussian
from gan_lab.metrics.score import ClassifierScore
from gan_lab.precision import full_precision
from gan_lab.progress import track
from gan_lab.types import RealImages, Samples, to_uint8

Device = torch.device | str

SPLITS = 10
"""Parts the classifier score is averaged over, as published."""

_VERSION = 1
"""Of the path from picture to figure: raise it where that path changes, and what was cached is computed anew."""


@dataclass(frozen=True)
class Statistics:
    """A set of pictures as an extractor sees it.

    Args:
        moments: of the features.
        score: exp(E KL(p(y|x) || p(y))), mean over the splits.
        score_std: its deviation over the splits.
        shares: share (K,) of pictures whose largest logit is each class, float64.
    """

    moments: Moments
    score: float
    score_std: float
    shares: Tensor


class Tally:
    """Gathers one extractor's statistics of n numbered pictures that arrive in any order and on any rank."""

    def __init__(self, extractor: Extractor, n: int, device: Device) -> None:
        self.extractor, self.n, self.device = extractor.to(device), n, torch.device(device)
        sums = "cpu" if self.device.type == "mps" else self.device  # Apple's GPUs have no float64
        self.moments = FeatureMoments(extractor.dim).to(sums)
        self.score = ClassifierScore(extractor.classes, n, min(SPLITS, n)).to(sums)

    def update(self, start: int, images: Tensor) -> None:
        """Pictures start, start + 1, …, uint8 (m, C, H, W)."""
        features, logits = self.extractor(images.to(self.device))
        self.moments.update(features)
        self.score.update(logits, torch.arange(start, start + len(images)))

    def statistics(self) -> Statistics:
        """Over all ranks (a collective). Raises RuntimeError unless each of the n pictures was counted once."""
        moments = self.moments.compute()
        if moments.count != self.n:
            raise RuntimeError(f"{moments.count} pictures were counted where {self.n} were to be.")
        score, deviation, shares = self.score.compute()
        return Statistics(moments, score.item(), deviation.item(), shares.cpu())


def shared_batches(
    data: RealImages, split: str, n: int, description: str, progress: bool = True
) -> Iterator[tuple[int, Tensor]]:
    """Batches of the first n pictures of a split, each with the number of its first; ranks take turns."""
    start, (rank, world) = 0, ranks()
    for number, images in enumerate(track(data.images(split, n), description, None, progress and rank == 0)):
        if number % world == rank:
            yield start, images
        start += len(images)


def shared_blocks(n: int, batch_size: int, description: str, progress: bool = True) -> Iterator[tuple[int, int]]:
    """Blocks of the numbers 0 … n - 1, each (first, how many); ranks take turns."""
    rank, world = ranks()
    starts = range(rank * batch_size, n, world * batch_size)
    for start in track(starts, description, len(starts), progress and rank == 0):
        yield start, min(batch_size, n - start)


def real_statistics(
    data: RealImages,
    split: str,
    extractor: Extractor,
    limit: int | None = None,
    device: Device = "cpu",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Statistics:
    """Statistics of a split, ``limit`` pictures at most, from the cache or shared between ranks; a collective."""
    n = min(data.count(split), limit or data.count(split))

    def compute() -> Statistics:
        tally = Tally(extractor, n, device)
        for start, images in shared_batches(data, split, n, f"real pictures, {extractor.name}", progress):
            tally.update(start, images)
        return tally.statistics()

    return _cached(["real", data.fingerprint(split), n, *identity(extractor)], compute, cache_dir)


def gaussian_statistics(
    data: RealImages,
    extractor: Extractor,
    n: int,
    seed: int = 0,
    batch_size: int = 256,
    device: Device = "cpu",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Statistics:
    """Statistics of n samples of the Gaussian fitted to the training split's pixels; a collective."""

    def compute() -> Statistics:
        model = PixelGaussian(data, "train", device)
        return sampled_statistics(model, [extractor], n, seed, 1.0, batch_size, device, "pixel Gaussian", progress)[0]

    return _cached(["gaussian", data.fingerprint("train"), n, seed, *identity(extractor)], compute, cache_dir)


@torch.no_grad()
@full_precision()
def sampled_statistics(
    model: Samples,
    extractors: Sequence[Extractor],
    n: int,
    seed: int = 0,
    truncation: float = 1.0,
    batch_size: int = 256,
    device: Device = "cpu",
    description: str = "samples",
    progress: bool = True,
) -> list[Statistics]:
    """Statistics of samples 0 … n - 1 of the seed, one an extractor; ranks take blocks in turn; a collective."""
    tallies = [Tally(extractor, n, device) for extractor in extractors]
    for start, count in shared_blocks(n, batch_size, description, progress):
        images = to_uint8(model.sample(count, seed=seed, start=start, truncation=truncation))
        for tally in tallies:
            tally.update(start, images)
    return [tally.statistics() for tally in tallies]


def identity(extractor: Extractor) -> list[str]:
    """What tells its features from any other's."""
    return [extractor.name, extractor.sha256, extractor.resizer]


def _cached(key: list[object], compute: Callable[[], Statistics], cache_dir: str | Path | None) -> Statistics:
    found = cached([_VERSION, SPLITS, *key], lambda: _to_tensors(compute()), cache_dir)
    moments = Moments(int(found["count"]), found["mean"], found["covariance"])
    score, deviation = found["score"].tolist()
    return Statistics(moments, score, deviation, found["shares"])


def _to_tensors(statistics: Statistics) -> dict[str, Tensor]:
    moments = statistics.moments
    return {
        "count": torch.tensor(moments.count),
        "mean": moments.mean,
        "covariance": moments.covariance,
        "score": torch.tensor([statistics.score, statistics.score_std], dtype=torch.float64),
        "shares": statistics.shares,
    }
