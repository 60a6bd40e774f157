"""The Fréchet distance as a multiple of that of real images, which can be compared between extractors."""

from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.feature_table import FirstFeatures
from gan_lab.evaluation.metrics.frechet import Moments, frechet_distance, moments_or_table
from gan_lab.evaluation.statistics import Comparison, Values


class FrechetRatio(Comparison[Moments | Tensor, Tensor]):
    """``fdr``: the Fréchet distance of samples over that of as many held-out real images: 1 is as good as real.

    Both are distances from the same real images, as in FDr (arXiv 2604.28190), and of sets of the same size, because a
    distance depends on it.

    Args:
        dim: d, the dimension of the features.
        real: the number of real images that both are compared with.
        held_out: the number of held-out real images; as many samples are taken.
    """

    baseline_keys = ("fdr",)
    relative_to = "real"

    def __init__(self, dim: PositiveInt, real: PositiveInt, held_out: PositiveInt) -> None:
        super().__init__(moments_or_table(dim, real, with_factor=True), FirstFeatures(dim, held_out))

    def compare(self, real: Moments | Tensor, fake: Tensor) -> Values:
        """Returns the distance of the first features (held_out, d), which the suite divides by that of real images."""
        return {"fdr": frechet_distance(real, fake)}
