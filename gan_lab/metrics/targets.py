"""What translations are compared with: the other domain's test pictures, and what two other sets are at from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gan_lab.metrics.extractors import Extractor
from gan_lab.metrics.features import real_features
from gan_lab.metrics.frechet import FeatureMoments, Moments, frechet_distance
from gan_lab.metrics.kernel import kernel_distance
from gan_lab.metrics.statistics import Device
from gan_lab.types import Translates, TwoDomains, UserError

Figures = dict[str, float]
SPLIT = "test"


@dataclass(frozen=True)
class Counts:
    """How many pictures take part in one direction: translations, the target's test pictures, its train pictures."""

    translated: int
    real: int
    floor: int


@dataclass(frozen=True)
class Target:
    """One direction's target in one extractor's eyes.

    Args:
        features: of its test pictures, (n, d).
        figures: how far the untranslated sources are from them, and its own train pictures.
    """

    features: Tensor
    figures: Figures


Targets = dict[str, dict[str, Target]]
"""By direction and extractor."""


def ends(direction: str) -> tuple[str, str]:
    """The source and the target of "a2b" or "b2a"."""
    source, _, target = direction.partition("2")
    return source, target


def counts(model: Translates, data: TwoDomains, n: int) -> dict[str, Counts]:
    """By direction; the floor has as many train pictures as there are translations, where the target has them.

    Raises:
        UserError: where a set has fewer than three.
    """
    found = {}
    for direction in model.directions:
        source, target = (data.sides[side] for side in ends(direction))
        made = min(n, source.count(SPLIT))
        found[direction] = each = Counts(made, min(n, target.count(SPLIT)), min(made, target.count("train")))
        if min(each.translated, each.real, each.floor) < 3:
            raise UserError(
                f"Distances need at least 3 pictures of each set, but {direction} has {each.translated} to translate, "
                f"{each.real} to compare them with and {each.floor} for the floor: add pictures (a tenth is held out "
                "where there is no test split), or train unmeasured with callbacks.fidelity=null."
            )
    return found


def targets(
    model: Translates,
    data: TwoDomains,
    extractors: Sequence[Extractor],
    n: int,
    device: Device = "cpu",
    cache_dir: str | Path | None = None,
    progress: bool = True,
) -> Targets:
    """The targets, their features from the cache where it has them; a collective."""

    def features(extractor: Extractor, side: str, split: str, count: int) -> Tensor:
        pictures, domain = data.sides[side], model.domains[side]
        return real_features(pictures, split, count, domain, extractor, device, cache_dir, progress)

    found: Targets = {direction: {} for direction in model.directions}
    for direction, count in counts(model, data, n).items():
        source, target = ends(direction)
        for extractor in extractors:
            real = features(extractor, target, SPLIT, count.real)
            idle = features(extractor, source, SPLIT, count.translated)
            train = features(extractor, target, "train", count.floor)
            figures = distances(extractor, f"{direction}_untranslated", idle, real)
            figures |= distances(extractor, f"{direction}_real", train, real)
            found[direction][extractor.name] = Target(real, figures)
    return found


def distances(extractor: Extractor, name: str, made: Tensor, real: Tensor) -> Figures:
    """Fréchet and kernel distance, and the latter's error, of features (n, d) from others (m, d)."""
    kernel, a, b = kernel_distance(made, real), _moments(made), _moments(real)
    return {
        f"{extractor.distance}_{name}": frechet_distance(a.mean, a.covariance, b.mean, b.covariance),
        f"{extractor.kernel}_{name}": kernel.value,
        f"{extractor.kernel}_{name}_error": kernel.error,
    }


def _moments(features: Tensor) -> Moments:
    metric = FeatureMoments(features.shape[1], sync_on_compute=False)
    metric.update(features)
    return metric.compute()
