"""The Fréchet wavelet distance, which needs no network.

Veeramacheneni et al. 2025, "Fréchet Wavelet Distance: A Domain-Agnostic Metric for Image Generation".
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.metrics.frechet import Moments, frechet_distance, moments
from gan_lab.evaluation.metrics.image_statistics import Shape
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Statistic, Values

LEAST = 4
"""Least side of a packet in pixels."""
LARGEST = 200
"""Coefficients of a packet, above which the longer side is divided once more."""
MOST_BYTES = 400_000_000
"""Size of the sums of one set, at most."""
CACHED_BYTES = 80_000_000
"""Size of the sums up to which those of real images are cached: reading the images again takes less than their disk."""

Levels = tuple[int, int]
"""How often rows and columns are divided."""


def haar_packets(images: Tensor, level: int | Levels) -> Tensor:
    """Computes the wavelet packets of images, orthonormal, with Haar's wavelet.

    Args:
        images: (N, C, H, W); rows and columns that do not fill a block of 2^level px are left out.
        level: l, how often the images are divided, or lₕ and l𝓌, how often rows and columns are.

    Returns:
        (N, 2^(lₕ + l𝓌), C, H / 2^lₕ, W / 2^l𝓌).
    """
    levels = (level, level) if isinstance(level, int) else level
    n, c = images.shape[:2]
    height, width = (side >> each << each for side, each in zip(images.shape[2:], levels, strict=True))
    packets = images[:, :, :height, :width].reshape(n * c, 1, height, width)
    both = torch.tensor([[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]) / 2
    one = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5
    rows, columns = (max(0, each - min(levels)) for each in levels)
    for kernels in [both] * min(levels) + [one[:, :, None]] * rows + [one[:, None, :]] * columns:
        size = kernels.shape[1:]
        packets = F.conv2d(packets.flatten(0, 1).unsqueeze(1), kernels.to(images).unsqueeze(1), stride=size)
        packets = packets.reshape(n * c, -1, *packets.shape[2:])
    return packets.unflatten(0, (n, c)).transpose(1, 2)


def levels_of(shape: tuple[int, int, int]) -> Levels:
    """Returns how often the rows and the columns of images (C, H, W) are divided.

    Both alike, until a side of a packet would be less than 4 px, and the longer side further while a packet has more
    than 200 coefficients. Then each is a band of frequencies that is narrow along the longer side.
    """
    sides = shape[1:]
    levels = [max(0, int(math.log2(min(sides) / LEAST)))] * 2
    longer = sides.index(max(sides))
    while _size(shape, levels) > LARGEST and sides[longer] >> levels[longer] >= 2 * LEAST:
        levels[longer] += 1
    return levels[0], levels[1]


def _size(shape: Sequence[int], levels: Sequence[int]) -> int:
    return shape[0] * (shape[1] >> levels[0]) * (shape[2] >> levels[1])


class PacketMoments(Statistic[list[Moments]]):
    """The moments of each wavelet packet of images in [0, 1], exact over ranks.

    Args:
        shape: (C, H, W).
        levels: how often rows and columns are divided.

    Raises:
        NotApplicableError: if the sums would not fit in memory.
    """

    total: Tensor
    outer: Tensor

    def __init__(self, shape: tuple[int, int, int], levels: Levels) -> None:
        super().__init__(list(shape), list(levels))
        self.levels, packets, dim = levels, 2 ** sum(levels), _size(shape, levels)
        size = 8 * packets * dim**2
        if size > MOST_BYTES:
            raise NotApplicableError(
                f"its sums for {shape[2]}×{shape[1]} px need {size / 1e9:.1f} GB: compare smaller images, or choose "
                f"another metrics.wavelet.level than {levels[0]}."
            )
        self.cached = size <= CACHED_BYTES
        self.add_sum_state("total", packets, dim)
        self.add_sum_state("outer", packets, dim, dim)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds the uint8 images (m, C, H, W) with the numbers ``index`` (m,)."""
        packets = haar_packets(values.double() / 255, self.levels).flatten(2).transpose(0, 1).to(self.total)
        self.total += packets.sum(1)
        self.outer.baddbmm_(packets.transpose(1, 2), packets)

    def compute(self) -> list[Moments]:
        """Returns the moments of each packet over all ranks (collective).

        Raises:
            UserError: if there are fewer than two images.
        """
        return [moments(int(self.count), *sums) for sums in zip(self.total, self.outer, strict=True)]


class WaveletDistance(Comparison[list[Moments], list[Moments]]):
    """``fwd``: the mean over wavelet packets of the squared Fréchet distance between their coefficients.

    Each packet is a band of frequencies, so that no frequency is averaged away. Images are divided until a packet's
    side would be less than 4 px, which keeps the covariances small; see ``levels_of``. The published protocol is level
    4 at 256 px.

    Args:
        shape: (C, H, W); both sides must have it.
        level: how often images are divided; None takes the deepest.

    Raises:
        NotApplicableError: if the sums would not fit in memory: from about 600 px on.
    """

    input = "images"
    baseline_keys = ("fwd",)

    def __init__(self, shape: Shape, level: PositiveInt | None = None) -> None:
        levels = levels_of(shape) if level is None else (level, level)
        super().__init__(PacketMoments(shape, levels), PacketMoments(shape, levels))
        self.described = {"level": levels[0] if levels[0] == levels[1] else list(levels), "wavelet": "Haar"}

    def compare(self, real: list[Moments], fake: list[Moments]) -> Values:
        """Returns the metric of the moments of the packets."""
        found = [frechet_distance(a, b) for a, b in zip(real, fake, strict=True)]
        return {"fwd": sum(found) / len(found)}
