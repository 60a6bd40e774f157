"""Compares the time of metrics with torchmetrics, for bench.py: the Fréchet distance, and Inception's forward pass."""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3

from gan_lab.evaluation.features.inception import Inception
from gan_lab.evaluation.metrics.frechet import FrechetDistance, Moments


class Identity(nn.Module):
    """Returns features as they are, for torchmetrics."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_features = dim

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet(dim: int = 2048, count: int = 5000, repeats: int = 3) -> dict[str, float]:
    """Returns seconds from moments to distance; for gan_lab also with the real side's factor known, as in training."""
    random = torch.Generator().manual_seed(0)
    mix = torch.randn(dim, dim, generator=random) / dim**0.5 * torch.linspace(1, 0.05, dim)
    theirs, ours = FrechetInceptionDistance(Identity(dim)), FrechetDistance(dim)
    for real in (True, False):
        features = torch.randn(count, dim, generator=random) @ mix + 0.1 * real
        theirs.update(features, real=real)
        ours.update(features, real=real)
    known, unknown = ours.real.compute(), ours.fake.compute()
    assert isinstance(known, Moments)
    plain = Moments(known.count, known.mean, known.covariance)

    def compute_again() -> float:
        theirs._computed = None
        return float(theirs.compute())

    work: dict[str, Callable[[], float]] = {
        "torchmetrics": compute_again,
        "ours": lambda: cast(float, ours.compare(plain, unknown)["fd"]),
        "ours_root_known": lambda: cast(float, ours.compare(known, unknown)["fd"]),
    }
    distances = [call() for call in work.values()]
    assert max(distances) - min(distances) < 1e-3 * max(distances), distances
    return _interleaved(work, repeats)


def inception(batch: int = 32, size: int = 64, repeats: int = 5) -> dict[str, float]:
    """Returns seconds of a batch through Inception with random weights, by gan_lab and by torchmetrics' FID."""
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = random_inception(Path(folder) / "weights.pth")
        ours = Inception(path, checked=False)
        theirs = FrechetInceptionDistance(NoTrainInceptionV3("inception", ["2048"], str(path), antialias=False))
    ours(images)
    theirs.update(images, real=True)
    return _interleaved(
        {"torchmetrics": lambda: theirs.update(images, real=False), "ours": lambda: ours(images)}, repeats
    )


def random_inception(path: Path) -> Path:
    """Writes random weights in the layout of the published file; returns the path."""
    with patch("torch.load", lambda *_, **__: {}), patch.object(nn.Module, "load_state_dict"):
        network = FeatureExtractorInceptionV3("random", ["2048"], "no file is read")
    for kernel in (p for p in network.parameters() if p.ndim == 4):
        nn.init.kaiming_normal_(kernel, nonlinearity="relu")
    torch.save(network.state_dict(), path)
    return path


def _interleaved(work: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns the median seconds of each call; calls alternate."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, call in work.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}
