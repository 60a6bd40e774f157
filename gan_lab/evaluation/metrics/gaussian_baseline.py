"""The baseline beside every distance: a Gaussian with the training pixels' mean and covariance."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gan_lab.common.capabilities import RealImages
from gan_lab.common.images import to_float
from gan_lab.evaluation.image_sets import ImageSet, SampledImages
from gan_lab.evaluation.metrics.frechet import FeatureMoments, factor

_WHOLE = 4096


class PixelGaussian:
    """A full-covariance Gaussian over a split's pixels: samples like a model, so it is measured like one.

    Up to 4,096 dimensions it has the covariance of all pictures. Above, it has exactly that of the first few thousand
    (as many as fit in 1 GiB): with A (m, d) the centred pictures, x = mean + Aᵀz / √(m - 1), z standard normal.

    Args:
        data: the pictures; on several ranks each fits alone.
        split: the split the Gaussian is fitted to.
        device: where samples are made.
    """

    def __init__(self, data: RealImages, split: str = "train", device: torch.device | str = "cpu") -> None:
        self.shape = (data.channels, data.height, data.width)
        dim, count = math.prod(self.shape), data.count(split)
        self.pictures = count if dim <= _WHOLE else min(count, _WHOLE, max(2, 2**28 // dim))
        batches = (to_float(images.flatten(1)) for images in data.images(split, self.pictures))
        mean, root = _from_covariance(batches, dim) if self.pictures > dim else _from_pictures(batches)
        self.mean, self.root = mean.float().to(device), root.float().to(device)

    def sample(
        self, n: int, seed: int = 0, start: int = 0, label: int | Tensor | None = None, truncation: float = 1.0
    ) -> Tensor:
        """Samples start … start + n - 1 of the seed, float32 (n, C, H, W); pixels may leave [-1, 1]."""
        rank = len(self.root)
        rows = [np.random.default_rng([seed, i]).standard_normal(rank, np.float32) for i in range(start, start + n)]
        normal = torch.from_numpy(np.stack(rows)).to(self.root.device)
        return (self.mean + truncation * normal @ self.root).view(n, *self.shape)


def _from_covariance(batches: Iterator[Tensor], dim: int) -> tuple[Tensor, Tensor]:
    metric = FeatureMoments(dim, sync_on_compute=False)
    for pixels in batches:
        metric.update(pixels)
    moments = metric.compute()
    return moments.mean, factor(moments.covariance)


def _from_pictures(batches: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    pixels = torch.cat(list(batches))
    mean = pixels.mean(0)
    return mean, pixels.sub_(mean).div_(math.sqrt(len(pixels) - 1))


class Gaussian(ImageSet):
    """So many samples of the Gaussian fitted to the training split's pixels: a set to be measured beside a model's.

    Fitted only when its samples are asked for: what is known of them is kept.
    """

    name = "pixel Gaussian"

    def __init__(self, data: RealImages, n: int, batch_size: int = 256, device: torch.device | str = "cpu") -> None:
        self.data, self.n, self.batch_size, self.device = data, n, batch_size, device
        self.shape = (data.channels, data.height, data.width)
        self.key = ["gaussian", data.fingerprint("train"), n]

    def batches(self, progress: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """See ``metrics.sources.ImageSet``."""
        model = PixelGaussian(self.data, "train", self.device)
        yield from SampledImages(model, self.shape, self.n, batch_size=self.batch_size, name=self.name).batches(
            progress
        )
