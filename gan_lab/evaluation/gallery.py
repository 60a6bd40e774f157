"""What a report shows: the first samples, the best and the worst, and which real pictures are nearest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.common.images import grid, to_float
from gan_lab.evaluation.image_sets import SelectableImageSet
from gan_lab.evaluation.metrics.precision_recall import centred, nearest, realism

FIRST = 64
"""Samples on a plate."""


@dataclass(frozen=True)
class Sheet:
    """Many pictures as one, uint8 (1 or 3, H, W), and a sentence that says what it shows."""

    picture: Tensor
    told: str


def first_of(fake: SelectableImageSet) -> Sheet:
    """The first pictures of a set, whatever they are."""
    n = min(FIRST, fake.n)
    return Sheet(grid(to_float(fake.pick(torch.arange(n)))), f"The first {n}, not chosen.")


@dataclass(frozen=True)
class Gallery:
    """Pictures uint8 (n, C, H, W) and what is said of them.

    Args:
        best, worst: (numbers, pictures, realism) of the most and the least real samples.
        samples: those whose neighbours are shown.
        neighbours: of each the nearest real pictures (n, k, C, H, W), and their distances (n, k).
    """

    best: tuple[Tensor, Tensor, Tensor]
    worst: tuple[Tensor, Tensor, Tensor]
    samples: Tensor
    neighbours: tuple[Tensor, Tensor]


def gallery(
    real: SelectableImageSet,
    fake: SelectableImageSet,
    seen_real: Tensor,
    seen_fake: Tensor,
    shown: int = 9,
    rows: int = 8,
    k: int = 6,
) -> Gallery:
    """Of two sets and their features (m, d) and (n, d)."""
    order = realism(seen_real, seen_fake).sort(descending=True)
    best, worst = order.indices[:shown].cpu(), order.indices[-shown:].flip(0).cpu()
    others, points = centred(seen_real, seen_fake[:rows])
    near = nearest(points, others, min(k, len(seen_real)))
    flat = real.pick(near.index.flatten().cpu())
    return Gallery(
        (best, fake.pick(best), order.values[:shown].cpu()),
        (worst, fake.pick(worst), order.values[-shown:].flip(0).cpu()),
        fake.pick(torch.arange(min(rows, fake.n))),
        (flat.view(*near.index.shape, *flat.shape[1:]), near.squares.sqrt().cpu()),
    )
