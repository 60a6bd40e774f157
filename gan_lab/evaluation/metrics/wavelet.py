"""The Fréchet wavelet distance, which needs no network.

Veeramacheneni et al. 2025, "Fréchet Wavelet Distance: A Domain-Agnostic Metric for Image Generation".
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.metrics.frechet import Moments, frechet_distance, moments
from gan_lab.evaluation.metrics.image_statistics import Shape
from gan_lab.evaluation.statistics import Comparison, Statistic, Values

LEAST = 4
"""Least side of a packet in pixels."""
DEEPEST = 6
"""Level that is not exceeded by default: the sums of deeper ones would fill gigabytes."""


def haar_packets(images: Tensor, level: int) -> Tensor:
    """Computes the wavelet packets of images, orthonormal, with Haar's wavelet.

    Args:
        images: (N, C, H, W); rows and columns that do not fill a block of 2^level px are left out.
        level: how often the images are divided.

    Returns:
        (N, 4^level, C, H / 2^level, W / 2^level).
    """
    size = 2**level
    n, c, height, width = images.shape
    images = images[:, :, : height // size * size, : width // size * size]
    kernels = torch.tensor([[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]) / 2
    packets = images.reshape(n * c, 1, *images.shape[2:])
    for _ in range(level):
        packets = F.conv2d(packets.flatten(0, 1).unsqueeze(1), kernels.to(images).unsqueeze(1), stride=2)
        packets = packets.reshape(n * c, -1, *packets.shape[2:])
    return packets.unflatten(0, (n, c)).transpose(1, 2)


class PacketMoments(Statistic[list[Moments]]):
    """The moments of each wavelet packet of images in [0, 1], exact over ranks.

    Args:
        shape: (C, H, W).
        level: how often the images are divided.
    """

    total: Tensor
    outer: Tensor

    def __init__(self, shape: tuple[int, int, int], level: int) -> None:
        super().__init__(list(shape), level)
        dim = shape[0] * (shape[1] >> level) * (shape[2] >> level)
        self.level = level
        self.add_sum_state("total", 4**level, dim)
        self.add_sum_state("outer", 4**level, dim, dim)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds the uint8 images (m, C, H, W) with the numbers ``index`` (m,)."""
        packets = haar_packets(values.double() / 255, self.level).flatten(2).transpose(0, 1).to(self.total)
        self.total += packets.sum(1)
        self.outer += packets.transpose(1, 2) @ packets

    def compute(self) -> list[Moments]:
        """Returns the moments of each packet over all ranks (collective).

        Raises:
            UserError: if there are fewer than two images.
        """
        return [moments(int(self.count), *sums) for sums in zip(self.total, self.outer, strict=True)]


class WaveletDistance(Comparison[list[Moments], list[Moments]]):
    """``fwd``: the mean over wavelet packets of the squared Fréchet distance between their coefficients.

    Each packet is a band of frequencies, so that no frequency is averaged away. Images are divided until a packet's
    side would be less than 4 px, which keeps the covariances small. The published protocol is level 4 at 256 px.

    Args:
        shape: (C, H, W); both sides must have it.
        level: how often images are divided; None takes the deepest, at most 6.
    """

    input = "images"
    baseline_keys = ("fwd",)

    def __init__(self, shape: Shape, level: PositiveInt | None = None) -> None:
        deepest = max(0, int(math.log2(min(shape[1:]) / LEAST)))
        level = min(deepest, DEEPEST) if level is None else level
        super().__init__(PacketMoments(shape, level), PacketMoments(shape, level))
        self.described = {"level": level, "wavelet": "Haar"}

    def compare(self, real: list[Moments], fake: list[Moments]) -> Values:
        """Returns the metric of the moments of the packets."""
        found = [frechet_distance(a, b) for a, b in zip(real, fake, strict=True)]
        return {"fwd": sum(found) / len(found)}
