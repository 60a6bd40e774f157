"""The baseline of every distance: samples of a Gaussian with the mean and the covariance of the training pixels."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.capabilities import RealImages
from gan_lab.common.images import to_float
from gan_lab.evaluation.image_sets import ImageSet, SampledImages
from gan_lab.evaluation.metrics.frechet import FeatureMoments, covariance_factor

MAX_DIMENSIONS = 4096
"""Dimensions up to which the covariance of all images is computed."""


class PixelGaussian:
    """A Gaussian with full covariance over a split's pixels; it samples like a model, so it is evaluated like one.

    Up to 4,096 dimensions it has the covariance of all images. Above, it has exactly the covariance of the first few
    thousand, as many as fit in 1 GiB: with A (m, d) the centred images, x = mean + Aᵀz / √(m - 1), z standard normal.

    Args:
        data: the data module; each rank fits on its own.
        split: the split that the Gaussian is fitted to.
        device: the device of the samples.
    """

    def __init__(self, data: RealImages, split: str = "train", device: torch.device | str = "cpu") -> None:
        self.shape = (data.channels, data.height, data.width)
        dim, count = math.prod(self.shape), data.count(split)
        self.n = count if dim <= MAX_DIMENSIONS else min(count, MAX_DIMENSIONS, max(2, 2**28 // dim))
        batches = (to_float(images.flatten(1)) for images in data.images(split, self.n))
        mean, factor = _from_covariance(batches, dim) if self.n > dim else _from_images(batches)
        self.mean, self.factor = mean.float().to(device), factor.float().to(device)

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Returns samples start … start + n - 1 of the seed, float32 (n, C, H, W); pixels may leave [-1, 1].

        ``truncation`` multiplies the standard deviation; label, a class or int64 (n,), is ignored.
        """
        rank = len(self.factor)
        rows = [np.random.default_rng([seed, i]).standard_normal(rank, np.float32) for i in range(start, start + n)]
        normal = torch.from_numpy(np.stack(rows)).to(self.factor.device)
        return (self.mean + truncation * normal @ self.factor).view(n, *self.shape)


def _from_covariance(batches: Iterator[Tensor], dim: int) -> tuple[Tensor, Tensor]:
    statistic = FeatureMoments(dim, sync_on_compute=False)
    for pixels in batches:
        statistic.update(pixels)
    moments = statistic.compute()
    return moments.mean, covariance_factor(moments.covariance)


def _from_images(batches: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    pixels = torch.cat(list(batches))
    mean = pixels.mean(0)
    return mean, pixels.sub_(mean).div_(math.sqrt(len(pixels) - 1))


class GaussianImages(ImageSet):
    """n samples of the Gaussian fitted to the training split's pixels.

    The Gaussian is fitted only when samples are needed: their statistics are cached.

    Args:
        data: the data module.
        n: the number of samples.
        batch_size: samples generated at once.
        device: the device of the samples.
    """

    name = "pixel Gaussian"

    def __init__(self, data: RealImages, n: int, batch_size: int = 256, device: torch.device | str = "cpu") -> None:
        self.data, self.n, self.batch_size, self.device = data, n, batch_size, device
        self.shape = (data.channels, data.height, data.width)
        self.key = ["gaussian 2", data.fingerprint("train"), n]

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields this rank's share: numbers (m,) and uint8 images (m, C, H, W)."""
        model = PixelGaussian(self.data, "train", self.device)
        samples = SampledImages(model, self.shape, self.n, batch_size=self.batch_size, name=self.name)
        yield from samples.batches(progress)
