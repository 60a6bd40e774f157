"""Metrics of nearest neighbours among real and generated images, in an extractor's features.

- Precision and recall: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
  Models", equations 1 and 2; realism: equation 3.
- Density and coverage: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models", equation 4.
- Authenticity: Alaa et al. 2022, "How Faithful is your Synthetic Data?", section 3.3.

All distances are Euclidean. The radius of an image is the distance to its k-th nearest neighbour on its own side.
Distances are computed in blocks of rows, so 50,000 against 50,000 features of 2,048 stay within 4 GB.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

_MAX_K = 5
"""Neighbours that are computed at once: the metrics' default k are not larger."""

_neighbour_distances = WeakTensorKeyDictionary()

_MAX_ENTRIES = 2**25
"""Distances in a block, at most."""


def distance_blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yields the squared distances of rows of a (m, d) to all rows of b (n, d): a slice of r rows, and (r, n)."""
    square_a, square_b = a.square().sum(1), b.square().sum(1)
    rows = max(1, _MAX_ENTRIES // len(b))
    for start in range(0, len(a), rows):
        part = slice(start, start + rows)
        products = torch.addmm(square_b[None], a[part], b.T, alpha=-2)
        yield part, products.add_(square_a[part, None]).clamp_(min=0)


def squared_radii(x: Tensor, k: int) -> Tensor:
    """Returns the squared distances (n,) of the rows of x (n, d) to their k-th nearest neighbours among the others.

    n must be above k. The distances are kept as long as x exists, because several metrics need those of one set.
    """
    if x not in _neighbour_distances or _neighbour_distances[x].shape[1] <= k:
        most = min(max(k, _MAX_K), len(x) - 1)
        own = x - x.double().mean(0).to(x)
        nearest = [squares.topk(most + 1, largest=False).values for _, squares in distance_blocks(own, own)]
        _neighbour_distances[x] = torch.cat(nearest)
    return _neighbour_distances[x][:, k]  # the nearest one is the point itself


def _check_count(k: int, *counts: int) -> None:
    if min(counts) <= k:
        raise NotApplicableError(
            f"{k} nearest neighbours of an image need {k + 1} images, but there are {min(counts)}."
        )


def covered(points: Tensor, centres: Tensor, squares: Tensor) -> Tensor:
    """Tells which of the points (m, d) lie in a ball around one of the centres (n, d) with the squared radii (n,).

    Returns bool (m,).
    """
    return torch.cat([(distances <= squares).any(1) for _, distances in distance_blocks(points, centres)])


def centred(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Subtracts the real mean from both (m, d) and (n, d).

    Distances stay the same, and have smaller rounding errors if features are far from 0.
    """
    mean = real.double().mean(0).to(real)
    return real - mean, fake - mean


class PrecisionRecall(Comparison[Tensor, Tensor]):
    """``precision``, the share of samples within the radius of a real image, and ``recall``, the share of real images
    within the radius of a sample.

    Args:
        dim: d, the dimension of the features.
        real, fake: the number of images on each side over all ranks.
        k: the neighbour that defines the radius; 3 as published.

    Raises:
        NotApplicableError: if a side has no more than k images.
    """

    def __init__(self, dim: PositiveInt, real: PositiveInt, fake: PositiveInt, k: PositiveInt = 3) -> None:
        _check_count(k, real, fake)
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.k = k

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of features (m, d) and (n, d)."""
        real_radii, fake_radii = squared_radii(real, self.k), squared_radii(fake, self.k)
        real, fake = centred(real, fake)
        precision = covered(fake, real, real_radii).double().mean().item()
        recall = covered(real, fake, fake_radii).double().mean().item()
        return {"precision": precision, "recall": recall}


class DensityCoverage(Comparison[Tensor, Tensor]):
    """``density`` and ``coverage``.

    Density is the number of real images in whose radius a sample lies, over k; it is above 1 if samples keep to dense
    regions. Coverage is the share of real images with a sample within their radius.

    Args:
        dim: d, the dimension of the features.
        real, fake: the number of images on each side over all ranks.
        k: the neighbour that defines the radius; 5 as published.

    Raises:
        NotApplicableError: if there are no more than k real images.
    """

    def __init__(self, dim: PositiveInt, real: PositiveInt, fake: PositiveInt, k: PositiveInt = 5) -> None:
        _check_count(k, real)
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.k = k

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of features (m, d) and (n, d)."""
        radii, hits = squared_radii(real, self.k), 0
        found = torch.zeros(len(real), dtype=torch.bool, device=real.device)
        real, fake = centred(real, fake)
        for _, squares in distance_blocks(fake, real):
            inside = squares < radii
            hits += int(inside.sum())
            found |= inside.any(0)
        return {"density": hits / (self.k * len(fake)), "coverage": found.double().mean().item()}


class Authenticity(Comparison[Tensor, Tensor]):
    """``authenticity``, the share of samples that are not copies of real images.

    A sample counts as a copy if it is nearer to its nearest real image than any other real image is. About half of
    samples from the real distribution itself are authentic. The real images should be the training images.

    Args:
        dim: d, the dimension of the features.
        real, fake: the number of images on each side over all ranks.

    Raises:
        NotApplicableError: if there is only one real image.
    """

    def __init__(self, dim: PositiveInt, real: PositiveInt, fake: PositiveInt) -> None:
        _check_count(1, real)
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of features (m, d) and (n, d)."""
        radii = squared_radii(real, 1)
        real, fake = centred(real, fake)
        near = nearest(fake, real)
        return {"authenticity": (near.squares > radii[near.index]).double().mean().item()}


@dataclass(frozen=True)
class Nearest:
    """The k nearest neighbours of each point, the nearest first: numbers (m, k) and squared distances (m, k)."""

    index: Tensor
    squares: Tensor


def nearest(points: Tensor, others: Tensor, k: int = 1) -> Nearest:
    """Finds the k nearest neighbours of the points (m, d) among others (n, d)."""
    found = [squares.topk(k, largest=False) for _, squares in distance_blocks(points, others)]
    return Nearest(torch.cat([each.indices for each in found]), torch.cat([each.values for each in found]))


def realism(real: Tensor, fake: Tensor, k: int = 3) -> Tensor:
    """Returns the realism of each sample, (n,): the largest ratio of a real image's radius to the sample's distance.

    Real images with a radius above the median are left out, as published: they would make any sample realistic.

    Args:
        real, fake: features (m, d) and (n, d).
        k: the neighbour that defines the radius, the last one if there are fewer.
    """
    radii = squared_radii(real, min(k, len(real) - 1))
    real, fake = centred(real, fake)
    kept = radii <= radii.median()
    blocks = distance_blocks(fake, real[kept])
    ratios = [(radii[kept] / squares.clamp(min=1e-12)).max(1).values for _, squares in blocks]
    return torch.cat(ratios).sqrt()
