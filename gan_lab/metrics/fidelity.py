"""How good a model's samples are: Fréchet distances and classifier scores, and all it takes to make them again."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.frechet import frechet_distance
from gan_lab.metrics.statistics import (
    SPLITS,
    Device,
    Statistics,
    gaussian_statistics,
    real_statistics,
    sampled_statistics,
)
from gan_lab.types import RealImages, Samples, UserError


@dataclass(frozen=True)
class Report:
    """What was measured, in plain containers.

    Args:
        figures: by the extractor's names for them (here of "grey"): ``fd_grey``, ``cs_grey``, ``cs_grey_std``, and to
            compare, ``fd_grey_gaussian`` and ``cs_grey_gaussian`` of the pixel Gaussian, ``cs_grey_real``.
        shares: by the extractor's name, the share of samples whose largest logit is each class.
        protocol: how: counts on both sides, split, extractors with hash and resizer, seed, precision, versions, data.
    """

    figures: dict[str, float]
    shares: dict[str, list[float]]
    protocol: dict[str, Any]

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Reference:
    """What samples are compared with: the real pictures, and as many samples of the pixel Gaussian as of the model."""

    real: Statistics
    gaussian: Statistics


def references(
    data: RealImages,
    extractors: Sequence[Extractor],
    n: int,
    split: str = "train",
    limit: int | None = None,
    batch_size: int = 256,
    device: Device = "cpu",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> dict[str, Reference]:
    """The references by the extractors' names, from the cache where it has them; a collective."""
    found = {}
    for extractor in extractors:
        real = real_statistics(data, split, extractor, limit, device, cache_dir, progress)
        gaussian = gaussian_statistics(data, extractor, n, 0, batch_size, device, cache_dir, progress)
        found[extractor.name] = Reference(real, gaussian)
    return found


def measure(
    model: Samples,
    data: RealImages,
    extractors: Sequence[Extractor],
    n: int,
    split: str = "train",
    seed: int = 0,
    truncation: float = 1.0,
    limit: int | None = None,
    batch_size: int = 256,
    device: Device = "cpu",
    known: Mapping[str, Reference] | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Report:
    """Measures samples 0 … n - 1 of the seed; every rank calls it and gets the same report (a collective).

    The random state and the training mode of the model stay as they are as long as ``model.sample`` leaves them.

    Args:
        data: the real pictures.
        split: of the real pictures; published distances use the training split.
        limit: so many real pictures at most.
        known: the references, if the caller has them from ``references`` with the same arguments.
        cache_dir: where statistics that do not change are kept (default GAN_LAB_CACHE, else ~/.cache/gan_lab).

    Raises:
        UserError: where the samples or the real pictures are fewer than two.
    """
    if n < 2:
        raise UserError(f"A distance needs at least 2 samples, not n={n}: several thousand make it steady.")
    known = known or references(data, extractors, n, split, limit, batch_size, device, cache_dir, progress)
    samples = sampled_statistics(
        model, extractors, n, seed, truncation, batch_size, device, "measuring samples", progress
    )
    figures: dict[str, float] = {}
    for extractor, fake in zip(extractors, samples, strict=True):
        figures |= _figures(extractor, fake, known[extractor.name])
    shares = {extractor.name: fake.shares.tolist() for extractor, fake in zip(extractors, samples, strict=True)}
    protocol = {
        "samples": n,
        "real": known[extractors[0].name].real.moments.count,
        "split": split,
        "seed": seed,
        "truncation": truncation,
        "precision": "fp32",
        "score_splits": min(SPLITS, n),
        "gaussian": {"split": "train", "seed": 0},
    }
    return Report(figures, shares, protocol | circumstances(data.describe(), extractors))


def _figures(extractor: Extractor, fake: Statistics, reference: Reference) -> dict[str, float]:
    distance, score = extractor.distance, extractor.score
    return {
        distance: _distance(reference.real, fake),
        score: fake.score,
        f"{score}_std": fake.score_std,
        f"{distance}_gaussian": _distance(reference.real, reference.gaussian),
        f"{score}_gaussian": reference.gaussian.score,
        f"{score}_real": reference.real.score,
    }


def _distance(real: Statistics, fake: Statistics) -> float:
    return frechet_distance(real.moments.mean, real.moments.covariance, fake.moments.mean, fake.moments.covariance)


def circumstances(data: Mapping[str, Any], extractors: Sequence[Extractor]) -> dict[str, Any]:
    """What every protocol says: the extractors, the data as they describe themselves, the versions."""
    told = ("distance", "kernel", "score", "resizer", "sha256", "dim", "classes")
    return {
        "extractors": {extractor.name: {key: getattr(extractor, key) for key in told} for extractor in extractors},
        "data": data,
        "versions": {name: _version(name) for name in ("gan_lab", "torch", "torchvision", "torchmetrics", "numpy")},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
        return "unknown"
