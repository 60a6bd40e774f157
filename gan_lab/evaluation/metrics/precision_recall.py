"""Metrics of nearest neighbours among real and generated images, in an extractor's features.

- Precision and recall: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
  Models", equations 1 and 2; realism: equation 3.
- Density and coverage: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models", equation 4.
- Authenticity: Alaa et al. 2022, "How Faithful is your Synthetic Data?", section 3.3.

All distances are Euclidean, see ``neighbours``. The radius of an image is the distance to its k-th nearest neighbour on
its own side.
"""

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.metrics.neighbours import (
    centred,
    count_inside,
    covered_by_each_other,
    distance_blocks,
    near_ties,
    nearest,
    radii_name,
    squared_radii,
)
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values


def _check_count(k: int, *counts: int) -> None:
    if min(counts) <= k:
        raise NotApplicableError(
            f"{k} nearest neighbours of an image need {k + 1} images, but there are {min(counts)}."
        )


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
        self.k, self.of_real = k, (radii_name(k),)

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of features (m, d) and (n, d)."""
        real_radii, fake_radii = squared_radii(real, self.k), squared_radii(fake, self.k)
        precise, recalled = covered_by_each_other(fake, real, fake_radii, real_radii)
        return {"precision": precise.double().mean().item(), "recall": recalled.double().mean().item()}


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
        self.k, self.of_real = k, (radii_name(k),)

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of features (m, d) and (n, d)."""
        radii = squared_radii(real, self.k)
        hits, least = count_inside(fake, real, radii)
        found = least < radii
        close = near_ties(radii - least, real, fake)
        found[close] = nearest(real[close], fake).squares[:, 0] < radii[close]
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
        self.of_real = (radii_name(1),)

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of features (m, d) and (n, d)."""
        radii = squared_radii(real, 1)
        near = nearest(fake, real)
        return {"authenticity": (near.squares > radii[near.index]).double().mean().item()}


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
