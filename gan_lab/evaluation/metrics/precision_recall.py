"""What the nearest neighbours of real and made pictures tell, in an extractor's features.

- Precision and recall: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
  Models", equations 1 and 2; realism: equation 3.
- Density and coverage: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models", equation 4.
- Authenticity: Alaa et al. 2022, "How Faithful is your Synthetic Data?", section 3.3.

Every distance is Euclidean; blocks of rows keep 50,000 against 50,000 features of 2,048 within 4 GB.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

_USUAL = 5
"""The k-th neighbours that figures ask for lie below it."""

_known = WeakTensorKeyDictionary()

_NUMBERS = 2**25
"""No block of distances holds more."""


def blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of rows of a (m, d) to all of b (n, d), block by block: (the rows, (rows, n))."""
    square_a, square_b = a.square().sum(1), b.square().sum(1)
    rows = max(1, _NUMBERS // len(b))
    for start in range(0, len(a), rows):
        part = slice(start, start + rows)
        products = torch.addmm(square_b[None], a[part], b.T, alpha=-2)
        yield part, products.add_(square_a[part, None]).clamp_(min=0)


def radii(x: Tensor, k: int) -> Tensor:
    """Squared distances (n,) of the rows of x (n, d), n above k, to their k-th nearest neighbours among the others.

    They are remembered as long as x is there, for several figures ask for those of one set.
    """
    if x not in _known or _known[x].shape[1] <= k:
        most = min(max(k, _USUAL), len(x) - 1)
        own = x - x.double().mean(0).to(x)
        _known[x] = torch.cat([squares.topk(most + 1, largest=False).values for _, squares in blocks(own, own)])
    return _known[x][:, k]  # itself is the first


def _enough(k: int, *counts: int) -> None:
    if min(counts) <= k:
        raise NotApplicableError(f"the {k} nearest neighbours of a picture need {k + 1} pictures, not {min(counts)}.")


def covered(points: Tensor, centres: Tensor, squared_radii: Tensor) -> Tensor:
    """Which of the points (m, d) lie in at least one ball, of the centres (n, d) with these radii (n,): bool (m,)."""
    return torch.cat([(squares <= squared_radii).any(1) for _, squares in blocks(points, centres)])


def centred(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Both about the real mean: distances stay, and their rounding shrinks where features lie far from 0."""
    mean = real.double().mean(0).to(real)
    return real - mean, fake - mean


class PrecisionRecall(Comparison):
    """``precision``, the share of samples within reach of a real picture, and ``recall``, of real pictures within reach
    of a sample; the reach of each picture is the distance to its k-th nearest neighbour on its own side.

    Args:
        dim: d, the dimension of the features.
        real, fake: how many pictures will come on each side, over all ranks.
        k: neighbours; 3 as published.
    """

    def __init__(self, dim: int, real: int, fake: int, k: int = 3) -> None:
        _enough(k, real, fake)
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.k = k

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Features (m, d) and (n, d)."""
        reach, reach_of_fake = radii(real, self.k), radii(fake, self.k)
        real, fake = centred(real, fake)
        precision = covered(fake, real, reach).double().mean().item()
        recall = covered(real, fake, reach_of_fake).double().mean().item()
        return {"precision": precision, "recall": recall}


class DensityCoverage(Comparison):
    """``density``, how many real pictures' reaches a sample lies in, over k; above 1 where samples keep to what is
    common. ``coverage``, the share of real pictures with a sample within reach, which is their k-th nearest neighbour's
    distance.

    Args:
        dim: d, the dimension of the features.
        real, fake: how many pictures will come on each side, over all ranks.
        k: neighbours; 5 as published.
    """

    def __init__(self, dim: int, real: int, fake: int, k: int = 5) -> None:
        _enough(k, real)
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.k = k

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Features (m, d) and (n, d)."""
        reach, balls, found = radii(real, self.k), 0, torch.zeros(len(real), dtype=torch.bool, device=real.device)
        real, fake = centred(real, fake)
        for _, squares in blocks(fake, real):
            inside = squares < reach
            balls += int(inside.sum())
            found |= inside.any(0)
        return {"density": balls / (self.k * len(fake)), "coverage": found.double().mean().item()}


class Authenticity(Comparison):
    """``authenticity``, the share of samples that are no copies: a sample counts as one where it is nearer to its
    nearest real picture than that is to any other real one. Samples of the real distribution itself have about one
    half.

    The real side should be what the model was trained on.

    Args:
        dim: d, the dimension of the features.
        real, fake: how many pictures will come on each side, over all ranks.
    """

    def __init__(self, dim: int, real: int, fake: int) -> None:
        _enough(1, real)
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Features (m, d) and (n, d)."""
        reach = radii(real, 1)
        real, fake = centred(real, fake)
        near = nearest(fake, real)
        return {"authenticity": (near.squares > reach[near.index]).double().mean().item()}


@dataclass(frozen=True)
class Nearest:
    """Of each point its nearest k among others, the nearest first: numbers (m, k) and squared distances (m, k)."""

    index: Tensor
    squares: Tensor


def nearest(points: Tensor, others: Tensor, k: int = 1) -> Nearest:
    """Of points (m, d) among others (n, d)."""
    found = [squares.topk(k, largest=False) for _, squares in blocks(points, others)]
    return Nearest(torch.cat([each.indices for each in found]), torch.cat([each.values for each in found]))


def realism(real: Tensor, fake: Tensor, k: int = 3) -> Tensor:
    """How real each sample looks, (n,): the largest ratio of a real picture's reach to the sample's distance from it.
    The reach goes to the k-th neighbour, or the last where they are fewer.

    Real pictures of more than the median reach are left out, as published: they would vouch for anything.
    """
    reach = radii(real, min(k, len(real) - 1))
    real, fake = centred(real, fake)
    kept = reach <= reach.median()
    ratios = [(reach[kept] / squares.clamp(min=1e-12)).max(1).values for _, squares in blocks(fake, real[kept])]
    return torch.cat(ratios).sqrt()
