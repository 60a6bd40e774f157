"""The Fréchet distance as a multiple of that of real images, which can be compared between extractors."""

from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.feature_table import FirstFeatures
from gan_lab.evaluation.metrics.frechet import FeatureMoments, Moments, frechet_distance, moments, moments_or_table
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

LEAST_HELD_OUT = 50
"""Held-out real images that a ratio needs.

Measured in the features of ``general`` on CIFAR-10, Caltech 101, ORL's faces, emoji, MNIST and Fashion-MNIST, nine
divisions each: the ratio of other real images has a standard deviation of 0.09 to 0.17 with 6 held-out images, of 0.04
to 0.10 with 50 and of 0.02 to 0.09 with 100 and more. Noise (64 grey levels) and the pixel Gaussian have 0.7 and more
with 6, and 1.5 and more with 50, then always above real images.
"""


class FirstMoments(FeatureMoments):
    """The moments of the features of the images 0 to n - 1 of a set of at least n numbered images.

    Args:
        dim: d, the dimension of the features.
        n: the number of images.
    """

    def __init__(self, dim: int, n: int) -> None:
        super().__init__(dim)
        self.key, self.n = [*self.key, n], n

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds those of the features (m, d) whose images have the numbers below n among ``index`` (m,)."""
        super().accumulate(values[index < self.n], index)

    def compute(self) -> Moments:
        """Returns the moments over all ranks (collective).

        Raises:
            UserError: if there are fewer than two points.
        """
        return moments(min(int(self.count), self.n), self.total, self.outer)


class FrechetRatio(Comparison[Moments | Tensor, Moments | Tensor]):
    """``fdr``: the Fréchet distance of samples over that of as many held-out real images: 1 is as good as real.

    Both are distances from the same real images, as in FDr (arXiv 2604.28190), and of sets of the same size, because a
    distance depends on it. Therefore ratios of unlike numbers of held-out images do not compare.

    Args:
        dim: d, the dimension of the features.
        real: the number of real images that both are compared with.
        held_out: the number of held-out real images; as many samples are taken.

    Raises:
        NotApplicableError: if there are fewer than 50 held-out real images.
    """

    baseline_keys = ("fdr",)
    relative_to = "real"

    def __init__(self, dim: PositiveInt, real: PositiveInt, held_out: PositiveInt | None = None) -> None:
        if held_out is None:
            raise NotApplicableError("there are no held-out real images to compare with.")
        if held_out < LEAST_HELD_OUT:
            raise NotApplicableError(
                f"it needs at least {LEAST_HELD_OUT} held-out real images and as many samples, but has {held_out}: "
                "with fewer, noise can be as near to 1 as real images."
            )
        few = FirstFeatures(dim, held_out) if held_out < dim else FirstMoments(dim, held_out)
        super().__init__(moments_or_table(dim, real, with_factor=True), few)

    def compare(self, real: Moments | Tensor, fake: Moments | Tensor) -> Values:
        """Returns the distance of the first features, given as moments or as a table (held_out, d), which the suite
        divides by that of real images.
        """
        return {"fdr": frechet_distance(real, fake)}
