"""The Fréchet distance as a multiple of that of real images, which can be compared between extractors."""

from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.feature_table import FirstFeatures
from gan_lab.evaluation.metrics.frechet import FeatureMoments, Moments, frechet_distance, moments, moments_or_table
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values


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
    distance depends on it.

    Args:
        dim: d, the dimension of the features.
        real: the number of real images that both are compared with.
        held_out: the number of held-out real images; as many samples are taken.

    Raises:
        NotApplicableError: if there are no held-out real images.
    """

    baseline_keys = ("fdr",)
    relative_to = "real"

    def __init__(self, dim: PositiveInt, real: PositiveInt, held_out: PositiveInt | None = None) -> None:
        if held_out is None:
            raise NotApplicableError("there are no held-out real images to compare with.")
        few = FirstFeatures(dim, held_out) if held_out < dim else FirstMoments(dim, held_out)
        super().__init__(moments_or_table(dim, real, with_factor=True), few)

    def compare(self, real: Moments | Tensor, fake: Moments | Tensor) -> Values:
        """Returns the distance of the first features, given as moments or as a table (held_out, d), which the suite
        divides by that of real images.
        """
        return {"fdr": frechet_distance(real, fake)}
