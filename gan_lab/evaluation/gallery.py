"""Images for a report: the first samples, the most and the least realistic ones, and nearest real images."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.common.images import grid, to_float
from gan_lab.evaluation.image_sets import SelectableImageSet
from gan_lab.evaluation.metrics.neighbours import nearest
from gan_lab.evaluation.metrics.precision_recall import realism

SHEET_SIZE = 64
"""Samples on a sheet."""


@dataclass(frozen=True)
class Sheet:
    """Many images in one, uint8 (1 or 3, H, W), with a caption of one sentence."""

    image: Tensor
    caption: str


def first_samples(fake: SelectableImageSet) -> Sheet:
    """Returns a grid of the first images of a set."""
    n = min(SHEET_SIZE, fake.n)
    return Sheet(grid(to_float(fake.select(torch.arange(n)))), f"The first {n}, not chosen.")


@dataclass(frozen=True)
class Gallery:
    """Images uint8 (n, C, H, W) and what is known about them.

    Args:
        best, worst: the numbers (n,), images and realism (n,) of the most and the least realistic samples.
        samples: the samples whose neighbours are shown.
        neighbours: the nearest real images (n, k, C, H, W) of each of those, and their distances (n, k).
    """

    best: tuple[Tensor, Tensor, Tensor]
    worst: tuple[Tensor, Tensor, Tensor]
    samples: Tensor
    neighbours: tuple[Tensor, Tensor]


def make_gallery(
    real: SelectableImageSet,
    fake: SelectableImageSet,
    real_features: Tensor,
    fake_features: Tensor,
    ranked: int = 9,
    rows: int = 8,
    k: int = 6,
) -> Gallery:
    """Selects the images of a report.

    Args:
        real, fake: the image sets.
        real_features: (m, d), of the real images in their order.
        fake_features: (n, d), of the samples in their order.
        ranked: how many of the most and of the least realistic samples.
        rows: samples whose neighbours are shown.
        k: neighbours of each, at most m.
    """
    order = realism(real_features, fake_features).sort(descending=True)
    best, worst = order.indices[:ranked].cpu(), order.indices[-ranked:].flip(0).cpu()
    near = nearest(fake_features[:rows], real_features, min(k, len(real_features)))
    flat = real.select(near.index.flatten().cpu())
    return Gallery(
        (best, fake.select(best), order.values[:ranked].cpu()),
        (worst, fake.select(worst), order.values[-ranked:].flip(0).cpu()),
        fake.select(torch.arange(min(rows, fake.n))),
        (flat.view(*near.index.shape, *flat.shape[1:]), near.squares.sqrt().cpu()),
    )
