"""The diversity of samples, measured over pairs: mode collapse makes pairs more similar."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.images import to_float
from gan_lab.common.precision import full_precision
from gan_lab.evaluation.feature_table import ImageTable
from gan_lab.evaluation.features.perceptual import PairMetric, PerceptualDistance, perceptual_distance
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The weights of the five scales of MS-SSIM (Wang et al. 2003)."""

PART = 64
"""Pairs that are compared at once."""


def random_pairs(n: int, max_pairs: int, labels: Tensor | None = None, seed: int = 0) -> Tensor:
    """Returns the numbers (2, p) of images that form random pairs; no image is in two of them.

    Args:
        n: the number of images.
        max_pairs: maximal number of pairs.
        labels: the classes (n,) of the images: both of a pair are then of one class. None pairs any two.
        seed: seed of the pairs.
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    if labels is None:
        found = order[: n // 2 * 2].view(-1, 2)
    else:
        own = [order[labels[order] == k] for k in labels.unique()]
        found = torch.cat([each[: len(each) // 2 * 2].view(-1, 2) for each in own])
        found = found[torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))]
    return found[:max_pairs].T


class Diversity(Comparison[Tensor, Tensor]):
    """The mean of a metric over random pairs of samples, with ``.error``, and over pairs of real images, ``.real``.

    Args:
        shape: (C, H, W).
        real, fake: the number of images on each side over all ranks.
        name: the key of the metric.
        pair_metric: maps images (N, C, H, W) and their partners (N, C, H, W), in [-1, 1], to values (N,).
        max_pairs: maximal number of pairs.
        labels: the classes (m,) and (n,) of both sides' images: pairs are then of one class.

    Raises:
        NotApplicableError: if a side has fewer than two pairs.
    """

    input = "images"

    def __init__(
        self,
        shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        real: PositiveInt,
        fake: PositiveInt,
        name: str,
        pair_metric: PairMetric,
        max_pairs: PositiveInt = 1000,
        labels: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        pairs = [
            random_pairs(n, max_pairs, None if labels is None else labels[side]).flatten()
            for side, n in enumerate((real, fake))
        ]
        if min(map(len, pairs)) < 4:
            raise NotApplicableError("it needs at least 2 pairs of images on each side.")
        super().__init__(*(ImageTable(shape, n, own) for n, own in zip((real, fake), pairs, strict=True)))
        self.name, self.pair_metric = name, pair_metric

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of uint8 images (2p, C, H, W) and (2q, C, H, W): the second halves are the partners."""
        own, reference = self._values(fake), self._values(real)
        error = own.std() / len(own) ** 0.5
        return {
            self.name: own.mean().item(),
            f"{self.name}.error": error.item(),
            f"{self.name}.real": reference.mean().item(),
        }

    @torch.no_grad()
    @full_precision()
    def _values(self, images: Tensor) -> Tensor:
        first, second = (half.split(PART) for half in images.chunk(2))
        each = [self.pair_metric(to_float(a), to_float(b)) for a, b in zip(first, second, strict=True)]
        return torch.cat(each).double()


def ms_ssim_of_size(shape: tuple[int, int, int]) -> PairMetric:
    """Returns MS-SSIM with as many of its five scales as the images' size allows, their weights scaled to equal sums.

    Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", section 4.2: the mean over pairs of
    one class, lower for more diverse samples. From 176 px on it is their metric; below, it is comparable only at one
    size. It compares luminances by their ratio, so black is 0.

    Raises:
        NotApplicableError: if the images are smaller than the window of 11 px.
    """
    shortest = min(shape[1:])
    if shortest < 11:
        raise NotApplicableError(f"its window needs images of at least 11 px, and these have {shortest}.")
    scales = max(s for s in range(1, 6) if (shortest >= 2**s and shortest // max(1, s - 1) ** 2 > 10))
    rest = sum(BETAS) / sum(BETAS[:scales])
    betas = tuple(beta * rest for beta in BETAS[:scales])

    def compare(a: Tensor, b: Tensor) -> Tensor:
        first, second = ((each + 1) / 2 for each in (a, b))
        found = ms_ssim(first, second, data_range=1.0, betas=betas, reduction="none", normalize="relu")
        return found.reshape(len(a))  # type: ignore[union-attr]

    return compare


class StructuralDiversity(Diversity):
    """``ms_ssim``, the mean MS-SSIM of pairs: the lower, the more diverse. See ``ms_ssim_of_size``.

    Args:
        shape, real, fake, max_pairs, labels: see ``Diversity``.
    """

    def __init__(
        self,
        shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        real: PositiveInt,
        fake: PositiveInt,
        max_pairs: PositiveInt = 1000,
        labels: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__(shape, real, fake, "ms_ssim", ms_ssim_of_size(shape), max_pairs, labels)


class PerceptualDiversity(Diversity):
    """``diversity_<distance>``, the mean perceptual distance of pairs: the higher, the more diverse.

    Args:
        shape, real, fake, max_pairs, labels: see ``Diversity``.
        distance: None takes LPIPS over AlexNet or VGG16 if there are weights, else our colour network's distance; see
            ``features.perceptual``.
        weights: files of the networks, by name.
    """

    def __init__(
        self,
        shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        real: PositiveInt,
        fake: PositiveInt,
        distance: PerceptualDistance | None = None,
        max_pairs: PositiveInt = 1000,
        labels: tuple[Tensor, Tensor] | None = None,
        weights: Mapping[str, str | None] | None = None,
    ) -> None:
        distance = distance or perceptual_distance(("alexnet", "vgg16"), min(shape[1:]), weights)
        super().__init__(shape, real, fake, f"diversity_{distance.name}", distance, max_pairs, labels)
        self.described = {"distance": distance.name, "sha256": distance.sha256}
