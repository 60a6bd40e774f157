"""How unlike each other samples are: what collapse takes away, told by pairs."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

from gan_lab.common.images import to_float
from gan_lab.common.precision import full_precision
from gan_lab.evaluation.feature_table import ImageTable
from gan_lab.evaluation.features.perceptual import Compare, Perceptual, perceptual
from gan_lab.evaluation.statistics import Comparison, NotApplicableError, Values

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The weights of MS-SSIM's scales (Wang et al. 2003)."""


def pairs(n: int, most: int, labels: Tensor | None = None, seed: int = 0) -> Tensor:
    """Numbers (2, p) of pictures drawn at random that make pairs, of one class where labels (n,) are given; no picture
    twice.
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    if labels is None:
        found = order[: n // 2 * 2].view(-1, 2)
    else:
        own = [order[labels[order] == k] for k in labels.unique()]
        found = torch.cat([each[: len(each) // 2 * 2].view(-1, 2) for each in own])
        found = found[torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))]
    return found[:most].T


class Diversity(Comparison):
    """The mean figure of pairs within a set, with ``.error``, and of as many pairs of real pictures ``.real``.

    Args:
        shape: (C, H, W).
        real, fake: how many pictures will come on each side, over all ranks.
        name: of the figure.
        compare_pairs: two pictures each, (N, C, H, W) in [-1, 1] → (N,).
        most: pairs at most.
        labels: the classes (m,) and (n,) of both sides' pictures: pairs are then of one class.
    """

    input = "images"

    def __init__(
        self,
        shape: tuple[int, int, int],
        real: int,
        fake: int,
        name: str,
        compare_pairs: Compare,
        most: int = 1000,
        labels: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        chosen = [
            pairs(n, most, None if labels is None else labels[side]).flatten() for side, n in enumerate((real, fake))
        ]
        if min(map(len, chosen)) < 4:
            raise NotApplicableError("it needs at least 2 pairs of pictures on each side.")
        super().__init__(*(ImageTable(shape, n, own) for n, own in zip((real, fake), chosen, strict=True)))
        self.name, self.compare_pairs = name, compare_pairs

    def compare(self, real: Tensor, fake: Tensor) -> Values:
        """Pictures (2p, C, H, W) uint8: the first half's partners are the second."""
        own, theirs = self._within(fake), self._within(real)
        error = own.std() / len(own) ** 0.5
        return {
            self.name: own.mean().item(),
            f"{self.name}.error": error.item(),
            f"{self.name}.real": theirs.mean().item(),
        }

    @torch.no_grad()
    @full_precision()
    def _within(self, pictures: Tensor) -> Tensor:
        first, second = (part.split(64) for part in pictures.chunk(2))
        each = [self.compare_pairs(to_float(a), to_float(b)) for a, b in zip(first, second, strict=True)]
        return torch.cat(each).double()


def structural(shape: tuple[int, int, int]) -> Callable[[Tensor, Tensor], Tensor]:
    """MS-SSIM with as many of its five scales as the pictures' size allows, whose weights sum to the five's.

    Odena et al. 2017, section 4.2: the mean over pairs of one class, lower for more diverse ones. At 176 px and more
    it is theirs; below it is comparable only at one size. Light is compared by its ratio, so black is 0.
    """
    shortest = min(shape[1:])
    if shortest < 11:
        raise NotApplicableError(f"its window needs pictures of 11 px and more, and these have {shortest}.")
    scales = max(s for s in range(1, 6) if (shortest >= 2**s and shortest // max(1, s - 1) ** 2 > 10))
    rest = sum(BETAS) / sum(BETAS[:scales])
    betas = tuple(beta * rest for beta in BETAS[:scales])

    def compare(a: Tensor, b: Tensor) -> Tensor:
        first, second = ((each + 1) / 2 for each in (a, b))
        found = ms_ssim(first, second, data_range=1.0, betas=betas, reduction="none", normalize="relu")
        return found.reshape(len(a))  # type: ignore[union-attr]

    return compare


class StructuralDiversity(Diversity):
    """``ms_ssim``, the mean MS-SSIM of pairs: the lower, the more diverse. See ``structural``."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        real: int,
        fake: int,
        most: int = 1000,
        labels: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__(shape, real, fake, "ms_ssim", structural(shape), most, labels)


class PerceptualDiversity(Diversity):
    """``diversity_<distance>``, the mean perceptual distance of pairs: the higher, the more diverse.

    Args:
        distance: None takes LPIPS over AlexNet or VGG16 where its weights are, else our colour network's; see
            ``metrics.perceptual``.
        weights: files of the networks, by name.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        real: int,
        fake: int,
        distance: Perceptual | None = None,
        most: int = 1000,
        labels: tuple[Tensor, Tensor] | None = None,
        weights: Mapping[str, str | None] | None = None,
    ) -> None:
        distance = distance or perceptual(("alexnet", "vgg16"), min(shape[1:]), weights)
        super().__init__(shape, real, fake, f"diversity_{distance.name}", distance, most, labels)
        self.described = {"distance": distance.name, "sha256": distance.sha256}
