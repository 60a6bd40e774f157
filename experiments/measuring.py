"""What measuring costs beside torchmetrics, for bench.py: the compute step in 2,048 dimensions, Inception's pass."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3

from gan_lab.evaluation.features.inception import Inception
from gan_lab.evaluation.metrics.frechet import FrechetDistance


class Same(nn.Module):
    """Features that are given as they are, for torchmetrics."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_features = dim

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet(dim: int = 2048, count: int = 5000, repeats: int = 3) -> dict[str, float]:
    """Seconds from gathered moments to the distance; of ours also with the real side's root known, as in training."""
    random = torch.Generator().manual_seed(0)
    mix = torch.randn(dim, dim, generator=random) / dim**0.5 * torch.linspace(1, 0.05, dim)
    theirs, ours = FrechetInceptionDistance(Same(dim)), FrechetDistance(dim)
    for real in (True, False):
        features = torch.randn(count, dim, generator=random) @ mix + 0.1 * real
        theirs.update(features, real=real)
        ours.update(features, real=real)
    known, unknown = ours.real.compute(), ours.fake.compute()
    plain = type(known)(known.count, known.mean, known.covariance)
    found = {
        "torchmetrics": theirs.compute,
        "ours": lambda: ours.compare(plain, unknown),
        "ours_root_known": lambda: ours.compare(known, unknown),
    }
    values = {name: float(value["fd"] if isinstance(value := work(), dict) else value) for name, work in found.items()}
    assert max(values.values()) - min(values.values()) < 1e-3 * max(values.values()), values
    return _in_turns({**found, "torchmetrics": lambda: (setattr(theirs, "_computed", None), theirs.compute())}, repeats)


def inception(batch: int = 32, size: int = 64, repeats: int = 5) -> dict[str, float]:
    """Seconds of a batch through Inception, weights random: ours, and torchmetrics' update of its FID."""
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = random_inception(Path(folder) / "weights.pth")
        ours = Inception(path, checked=False)
        theirs = FrechetInceptionDistance(NoTrainInceptionV3("inception", ["2048"], str(path), antialias=False))
    ours(images)
    theirs.update(images, real=True)
    return _in_turns({"torchmetrics": lambda: theirs.update(images, real=False), "ours": lambda: ours(images)}, repeats)


def random_inception(path: Path) -> Path:
    """A file of random weights in the layout of the published one."""
    load, torch.load = torch.load, lambda *_, **__: {}  # the network is built without any file
    fill, nn.Module.load_state_dict = nn.Module.load_state_dict, lambda *_: None
    try:
        network = FeatureExtractorInceptionV3("random", ["2048"], "nothing is read")
    finally:
        torch.load, nn.Module.load_state_dict = load, fill
    for kernel in (p for p in network.parameters() if p.ndim == 4):
        nn.init.kaiming_normal_(kernel, nonlinearity="relu")
    torch.save(network.state_dict(), path)
    return path


def _in_turns(work: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median of seconds each, taken in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, call in work.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}
