"""Whether a conditional model makes what is asked for: the distance within each class, and what a classifier reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics import MeanMetric

from gan_lab.metrics.cache import cached
from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.frechet import FeatureMoments, Moments, frechet_distance
from gan_lab.metrics.statistics import Device, identity, shared_batches, shared_blocks
from gan_lab.precision import full_precision
from gan_lab.types import LabelledImages, Samples, to_uint8

_VERSION = 1
"""Of the path from picture to moments: raise it where that path changes."""


@dataclass(frozen=True)
class Classes:
    """What an extractor sees in each class of labelled pictures.

    Args:
        moments: of the features, a class.
        accuracy: share of pictures that the extractor's classifier gives their own label; not a number where it does
            not know these classes.
    """

    moments: Sequence[Moments]
    accuracy: float


@torch.no_grad()
@full_precision()
def _gathered(
    batches: Iterable[tuple[Tensor, Tensor]], classes: int, extractor: Extractor, known: slice | None, device: Device
) -> Classes:
    """Of uint8 pictures (m, C, H, W) and labels (m,) that come to each rank; a collective."""
    extractor.to(device)
    sums = "cpu" if torch.device(device).type == "mps" else device  # Apple's GPUs have no float64
    each, right = [FeatureMoments(extractor.dim).to(sums) for _ in range(classes)], MeanMetric().to(device)
    for images, labels in batches:
        labels = labels.to(device)
        features, logits = extractor(images.to(device))
        for k in labels.unique().tolist():
            each[k].update(features[labels == k])
        if known is not None:
            right.update((logits[:, known].argmax(1) == labels).float())
    accuracy = float(right.compute()) if known is not None else float("nan")
    return Classes([moments.compute() for moments in each], accuracy)


def real_classes(
    data: LabelledImages,
    split: str,
    extractor: Extractor,
    limit: int | None = None,
    device: Device = "cpu",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Classes:
    """Of a split, ``limit`` pictures at most, from the cache or shared between ranks; a collective."""
    labels, known = data.labels(split)[:limit], extractor.knows.get(str(data.name))

    def compute() -> dict[str, Tensor]:
        found = _gathered(_labelled(data, split, labels, extractor, progress), data.classes, extractor, known, device)
        return {
            "count": torch.tensor([moments.count for moments in found.moments]),
            "mean": torch.stack([moments.mean for moments in found.moments]),
            "covariance": torch.stack([moments.covariance for moments in found.moments]),
            "accuracy": torch.tensor(found.accuracy, dtype=torch.float64),
        }

    key = ["classes", _VERSION, data.fingerprint(split), labels.tolist(), str(known), *identity(extractor)]
    found = cached(key, compute, cache_dir)
    rows = zip(found["count"].tolist(), found["mean"], found["covariance"], strict=True)
    return Classes([Moments(*row) for row in rows], found["accuracy"].item())


def _labelled(
    data: LabelledImages, split: str, labels: Tensor, extractor: Extractor, progress: bool
) -> Iterable[tuple[Tensor, Tensor]]:
    """Every rank's share of the batches."""
    for start, images in shared_batches(data, split, len(labels), f"real classes, {extractor.name}", progress):
        yield images, labels[start : start + len(images)]


def measurable(
    data: LabelledImages, split: str, extractors: Sequence[Extractor], n: int, limit: int | None = None
) -> bool:
    """Whether each class has the pictures that a distance needs, and all covariances fit into half a gigabyte."""
    least = torch.bincount(data.labels(split)[:limit], minlength=data.classes).min()
    numbers = data.classes * max(extractor.dim for extractor in extractors) ** 2
    return bool(least >= 2) and n >= 2 * data.classes and numbers <= 2**26


def measure_classes(
    model: Samples,
    data: LabelledImages,
    extractor: Extractor,
    real: Classes,
    n: int,
    seed: int = 0,
    truncation: float = 1.0,
    batch_size: int = 256,
    device: Device = "cpu",
    progress: bool = True,
) -> dict[str, float]:
    """Figures of samples 0 … n - 1, sample i asked for with label i mod K; a collective.

    Returns:
        By the extractor's names (here of "grey"): ``fd_grey_classes``, the mean over classes of the distance within
        each (on n / K samples, so higher than the whole one even of a perfect model); ``fd_grey_class_0`` and so on;
        and where the classifier knows the classes ``label_accuracy`` and, of real pictures, ``label_accuracy_real``.
    """
    classes = data.classes

    def asked() -> Iterable[tuple[Tensor, Tensor]]:
        for start, count in shared_blocks(n, batch_size, "measuring classes", progress):
            labels = torch.arange(start, start + count) % classes
            made = model.sample(count, seed=seed, start=start, label=labels, truncation=truncation)
            yield to_uint8(made), labels

    known = extractor.knows.get(str(data.name))
    made = _gathered(asked(), classes, extractor, known, device)
    distances = [
        frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
        for a, b in zip(real.moments, made.moments, strict=True)
    ]
    figures = {f"{extractor.distance}_class_{k}": distance for k, distance in enumerate(distances)}
    figures[f"{extractor.distance}_classes"] = sum(distances) / classes
    if known is not None:
        figures |= {"label_accuracy": made.accuracy, "label_accuracy_real": real.accuracy}
    return figures
