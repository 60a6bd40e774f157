"""Sliced Wasserstein distances: of features, and of the patches of images.

Along one direction, optimal transport between two sets of numbers is the sorted order, so the distance needs neither a
Gaussian assumption nor a network of its own.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveInt, Seed
from gan_lab.evaluation.feature_table import FeatureTable
from gan_lab.evaluation.metrics.image_statistics import Shape
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Statistic, Values

DIRECTIONS_AT_ONCE = 32
PATCH = 7
"""Side of a patch in pixels: Karras et al. 2018."""
BINS, WIDTH = 1024, 2.0
"""Bins of a histogram of projections, and their width in grey levels."""


class SlicedDistance(Comparison[Tensor, Tensor]):
    """``mind``: the sliced Wasserstein distance between real and generated features.

    MIND (Berthet et al. 2026, "Monge Inception Distance"): 3 d times the mean over random unit directions of the
    squared 2-Wasserstein distance between the projected sets. It sees more than the first two moments, and a few
    thousand samples are enough. Sides of unequal size are transported exactly, in fractions of an image.

    Args:
        dim: d, the dimension of the features.
        real, fake: the number of images on each side over all ranks.
        directions: the number of directions.
        seed: seed of the directions.
    """

    baseline_keys = ("mind",)

    def __init__(
        self, dim: PositiveInt, real: PositiveInt, fake: PositiveInt, directions: PositiveInt = 1000, seed: Seed = 0
    ) -> None:
        super().__init__(FeatureTable(dim, real), FeatureTable(dim, fake))
        self.directions, self.seed = directions, seed

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metric of features (m, d) and (n, d)."""
        directions = unit_directions(real.shape[1], self.directions, self.seed).to(real)
        parts = [squared_transport(some @ real.T, some @ fake.T) for some in directions.T.split(DIRECTIONS_AT_ONCE)]
        return {"mind": 3 * real.shape[1] * torch.cat(parts).mean().item()}


def unit_directions(dim: int, count: int, seed: int) -> Tensor:
    """Returns unit vectors (dim, count), uniformly distributed."""
    return F.normalize(torch.randn(dim, count, generator=torch.Generator().manual_seed(seed)), dim=0)


def squared_transport(a: Tensor, b: Tensor) -> Tensor:
    """Returns the squared 2-Wasserstein distances (k,), float64, between the rows of (k, m) and (k, n).

    The quantile functions are steps; between two steps of either side their difference is constant.
    """
    a, b = sorted_rows(a), sorted_rows(b)
    m, n = a.shape[1], b.shape[1]
    if m == n:
        return (a - b).double().square().mean(1)
    ends = torch.cat([torch.arange(1, m + 1) * n, torch.arange(1, n + 1) * m]).unique().to(a.device)
    share = torch.diff(ends, prepend=ends.new_zeros(1)).double() / (m * n)
    gap = a.index_select(1, (ends - 1) // n).sub_(b.index_select(1, (ends - 1) // m))
    return gap.double().square_() @ share


def sorted_rows(x: Tensor) -> Tensor:
    """Returns the rows of x (k, n), each in ascending order.

    On a CPU, NumPy sorts with vector instructions, four times faster than torch, and threads share the rows.
    """
    if x.device.type != "cpu":
        return x.sort(1).values
    found = x.contiguous().clone()
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(np.ndarray.sort, found.numpy()))
    return found


class PatchHistograms(Statistic[Tensor]):
    """Histograms of the projections of patches of 7 px in each level of a Laplacian pyramid, about a hundred an image.

    They are sums, so any number of images is counted without keeping any, exactly over ranks.

    Args:
        shape: (C, H, W).
        directions: the number of random directions of each level.
        seed: seed of the directions.
    """

    histograms: Tensor

    def __init__(self, shape: tuple[int, int, int], directions: int, seed: int) -> None:
        super().__init__(list(shape), directions, seed)
        self.levels = max(1, int(math.log2(min(shape[1:]) / 16)) + 1)
        drawn = unit_directions(shape[0] * PATCH**2, self.levels * directions, seed)
        self.kernels = drawn.T.reshape(self.levels, directions, shape[0], PATCH, PATCH)
        self.add_sum_state("histograms", self.levels, directions, BINS)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds the uint8 images (m, C, H, W) with the numbers ``index`` (m,)."""
        for level, images in enumerate(laplacian_pyramid(values.float(), self.levels)):
            stride = step(min(images.shape[2:]))
            projected = F.conv2d(images, self.kernels[level].to(images.device), stride=stride)
            projected = projected.transpose(0, 1).flatten(1)
            bins = (projected / WIDTH + BINS / 2).long().clamp_(0, BINS - 1)
            offsets = torch.arange(len(bins), device=bins.device).unsqueeze(1) * BINS
            counts = torch.bincount((bins + offsets).flatten(), minlength=len(bins) * BINS)
            self.histograms[level] += counts.view(len(bins), BINS).to(self.histograms)

    def compute(self) -> Tensor:
        """Returns the shares (levels, directions, bins) of the projections, over all ranks (collective)."""
        return self.histograms / self.histograms.sum(2, keepdim=True)


class PatchDistance(Comparison[Tensor, Tensor]):
    """``swd``: the sliced Wasserstein distance between the patches of real and generated images, in grey levels.

    Karras et al. 2018, "Progressive Growing of GANs", section 5. Patches of 7 px are compared in each level of a
    Laplacian pyramid: ``swd.16`` for the coarsest, whose shorter side is about 16 px, and so on; ``swd`` is their mean.
    Patches lie on a lattice and are counted in bins of two grey levels; the paper draws 128 of each image and level
    and divides each channel by its deviation.

    Args:
        shape: (C, H, W); both sides must have it.
        directions: the number of random directions of each level.
        seed: seed of the directions.

    Raises:
        NotApplicableError: if the images are smaller than a patch.
    """

    input = "images"
    baseline_keys = ("swd",)

    def __init__(self, shape: Shape, directions: PositiveInt = 32, seed: Seed = 0) -> None:
        if min(shape[1:]) < PATCH:
            raise NotApplicableError(
                f"its patches need images of at least {PATCH} px, and these have {min(shape[1:])}."
            )
        super().__init__(*(PatchHistograms(shape, directions, seed) for _ in range(2)))
        self.side = min(shape[1:])

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Returns the metrics of shares (levels, directions, bins)."""
        gaps = (real.cumsum(2) - fake.cumsum(2)).abs().sum(2).mean(1) * WIDTH
        levels = {f"swd.{self.side >> level}": gap for level, gap in enumerate(gaps.tolist())}
        return {"swd": gaps.mean().item(), **levels}


def step(side: int) -> int:
    """Returns the distance in pixels between patches in images of a shorter side: odd, so that no pattern of upsampling
    has its period.
    """
    return side // 16 | 1


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """Returns the bands of images (N, C, H, W), from the finest to what is left, each of half the size."""
    bands = []
    for _ in range(levels - 1):
        coarse = F.avg_pool2d(images, 2)
        bands.append(images - F.interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=False))
        images = coarse
    return [*bands, images]
