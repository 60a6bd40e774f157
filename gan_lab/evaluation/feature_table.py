"""Tables that keep values image by image, for metrics over pairs of images."""

import math

import torch
from torch import Tensor

from gan_lab.evaluation.statistics import Statistic, digest


class FeatureTable(Statistic[Tensor]):
    """The features of n numbered images, which arrive in any order and on any rank.

    Args:
        dim: d, the dimension of the features.
        n: the number of images that will arrive over all ranks.
    """

    rows: Tensor
    arrivals: Tensor

    def __init__(self, dim: int, n: int) -> None:
        super().__init__(dim, n)
        self.add_sum_state("rows", n, dim, dtype=torch.float32)
        self.add_sum_state("arrivals", n, dtype=torch.int64)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds features (m, d) of the images with the numbers ``index`` (m,)."""
        self.rows.index_add_(0, index, values.to(self.rows))
        self.arrivals.index_add_(0, index, torch.ones_like(index))

    def compute(self) -> Tensor:
        """Returns the features, float32 (n, d), over all ranks (collective).

        Raises:
            RuntimeError: if an image is missing or was counted more than once.
        """
        if not (self.arrivals == 1).all():
            wrong = int((self.arrivals != 1).sum())
            raise RuntimeError(f"{wrong} of {len(self.arrivals)} images were not counted exactly once.")
        return self.rows


class FirstFeatures(FeatureTable):
    """The features of the images 0 to n - 1 of a set of at least n numbered images."""

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds those of the features (m, d) whose images have the numbers below n among ``index`` (m,)."""
        kept = index < len(self.arrivals)
        super().accumulate(values[kept], index[kept])


class ImageTable(Statistic[Tensor]):
    """Selected ones of n numbered uint8 images, which arrive in any order and on any rank.

    Args:
        shape: (C, H, W).
        n: the number of images that will arrive over all ranks.
        selected: the numbers (m,) of the images to keep, each once; None keeps all.
    """

    pixels: Tensor

    def __init__(self, shape: tuple[int, int, int], n: int, selected: Tensor | None = None) -> None:
        selected = torch.arange(n) if selected is None else selected
        super().__init__(list(shape), n, digest(selected))
        self.row = torch.full((n,), -1)
        self.row[selected] = torch.arange(len(selected))
        self.add_sum_state("pixels", len(selected), *shape, dtype=torch.uint8)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Keeps the selected ones of the images (m, C, H, W) uint8 with the numbers ``index`` (m,)."""
        row = self.row.to(index.device)[index]
        self.pixels[row[row >= 0]] = values[row >= 0]

    def compute(self) -> Tensor:
        """Returns the images, uint8 (m, C, H, W), in the order of ``selected``, over all ranks (collective)."""
        return self.pixels


def mean_and_error(values: Tensor) -> dict[str, float]:
    """Returns the mean of values (n,) under "", and its standard error under ".error" (NaN for a single value)."""
    values = values.cpu().double()
    error = values.std().item() / len(values) ** 0.5 if len(values) > 1 else math.nan
    return {"": values.mean().item(), ".error": error}
