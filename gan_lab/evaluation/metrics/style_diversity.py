"""The diversity of translations of one image in several styles.

Zhu et al. 2017, "Toward Multimodal Image-to-Image Translation", section 5, and Huang et al. 2018, "Multimodal
Unsupervised Image-to-Image Translation", section 5.2: the mean LPIPS distance of random pairs of translations of the
same image. Here it is the mean over all pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import TranslatesInStyles, TwoDomains
from gan_lab.common.precision import full_precision
from gan_lab.evaluation.feature_table import FeatureTable, mean_and_error
from gan_lab.evaluation.features.perceptual import (
    MapDistance,
    PairMetric,
    PerceptualDistance,
    perceptual_distance,
)
from gan_lab.evaluation.metrics.shared_parts import shared_parts
from gan_lab.evaluation.model_metric import DEFAULT_OPTIONS, EvalOptions, TranslationMetric
from gan_lab.evaluation.statistics import Values
from gan_lab.inference.translation import SPLIT, ends, padded


@torch.no_grad()
@full_precision()
def pairwise_diversity(images: Tensor, metric: PairMetric) -> Tensor:
    """Returns the mean distance between the translations of each source in S styles, float32 (N,).

    It is the mean over all S (S - 1) / 2 pairs: 0 if the style changes nothing.

    Args:
        images: translations of N sources in S styles each, (N, S, C, H, W) in [-1, 1].
        metric: maps images (N, C, H, W) and their partners (N, C, H, W) to distances (N,).

    Raises:
        ValueError: for fewer than two styles.
    """
    styles = images.shape[1]
    if styles < 2:
        raise ValueError(f"diversity needs at least 2 styles of each source, not {styles}")
    pairs = list(combinations(range(styles), 2))
    if isinstance(metric, MapDistance):
        return torch.stack([_mean_of_pairs(each, metric, pairs) for each in images])
    return torch.stack([metric(images[:, first], images[:, second]).float() for first, second in pairs]).mean(0)


def _mean_of_pairs(images: Tensor, metric: MapDistance, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """Returns the mean distance of pairs of images (S, C, H, W), a scalar; each image's maps are computed once."""
    maps = metric.maps(images)
    found = [metric.between([each[a : a + 1] for each in maps], [each[b : b + 1] for each in maps]) for a, b in pairs]
    return torch.cat(found).float().mean()


class StyleDiversity(TranslationMetric[TranslatesInStyles]):
    """``diversity_<distance>_a2b``, the mean distance between translations of a source in random styles, ``.error``.

    Label maps have none.

    Args:
        n: the number of sources, evenly spaced over the test split.
        styles: S, of each source: source i gets styles S i … S i + S - 1 of the seed.
        distance: None takes LPIPS over AlexNet or VGG16 if there are weights, else our colour network's distance; see
            ``features.perceptual``.
        max_n: maximal number of sources of the whole evaluation.
        weights: files of the networks, by name.
    """

    def __init__(
        self,
        n: PositiveInt = 100,
        styles: PositiveInt = 10,
        distance: PerceptualDistance | None = None,
        max_n: PositiveInt | None = None,
        weights: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__()
        self.n, self.styles, self.distance, self.weights = min(n, max_n or n), styles, distance, weights
        self.tables: dict[str, FeatureTable] = {}

    def applies_to(self, model: object, data: object) -> bool:
        """Tells whether the model translates in styles."""
        return isinstance(model, TranslatesInStyles) and isinstance(data, TwoDomains)

    @torch.no_grad()
    @full_precision()
    def update(self, model: TranslatesInStyles, data: TwoDomains, options: EvalOptions = DEFAULT_OPTIONS) -> None:
        """Translates this rank's share of the sources."""
        shortest = min(side for each in data.sides.values() for side in (each.height, each.width))
        distance = self.distance or perceptual_distance(("alexnet", "vgg16"), shortest, self.weights)
        self.distance = distance.to(self.device)
        for direction in model.directions:
            if not model.domains[ends(direction)[1]].labels:
                count = min(self.n, data.sides[ends(direction)[0]].count(SPLIT))
                self.tables[direction] = FeatureTable(1, count).to(self.device)
                for index, images in self._translations(model, data, direction, count, options):
                    self.tables[direction].update(pairwise_diversity(images, distance)[:, None], index)
        counts = {direction: len(table.arrivals) for direction, table in self.tables.items()}
        self.described = {"distance": distance.name, "sha256": distance.sha256, "sources": counts}

    def _translations(
        self, model: TranslatesInStyles, data: TwoDomains, direction: str, count: int, options: EvalOptions
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields numbers (m,) and translations in styles (m, S, C, H, W)."""
        source, target = ends(direction)
        size = max(1, options.batch_size // self.styles)
        for start, pixels in shared_parts(data.sides[source], SPLIT, count, size, "styles", options.progress):
            images = model.domains[source].encode(pixels.to(self.device)).repeat_interleave(self.styles, 0)
            styles = model.random_styles(len(images), target, options.seed, start * self.styles)
            found = padded(images, model.multiple, lambda image, own=styles: model.restyle(image, target, own))  # type: ignore[misc]
            yield torch.arange(start, start + len(pixels)), found.unflatten(0, (len(pixels), self.styles))

    def compute(self) -> Values:
        """Returns the metrics over all ranks (collective)."""
        found: Values = {}
        for direction, table in self.tables.items():
            assert self.distance is not None
            each = mean_and_error(table.compute()[:, 0])
            found |= {f"diversity_{self.distance.name}_{direction}{end}": value for end, value in each.items()}
        return found

    def reset(self) -> None:
        """Forgets the images."""
        super().reset()
        self.tables = {}
