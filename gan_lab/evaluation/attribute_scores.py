"""Scores of attributes: how much images look like examples that have each, rather than like those without."""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.data.reading.examples import Examples
from gan_lab.evaluation.feature_classifier import FeatureClassifier, features_of
from gan_lab.evaluation.features.extractors import Extractor

FEWEST = 5
"""Examples without an attribute, and with it, at least."""


def scores_of(extractor: Extractor, examples: Examples) -> Callable[[Tensor], dict[str, Tensor]]:
    """Returns a function from images (N, C, H, W) to scores (N,) by attribute: above 0 they look as if they had it.

    Args:
        extractor: its features are parted by logistic regression, for each attribute.
        examples: of the attributes.

    Raises:
        UserError: for fewer than ``FEWEST`` examples with an attribute, or without.
    """
    for name, either in examples.attributes.items():
        if min(map(len, either)) < FEWEST:
            few = f"{len(either[0])} images without {name} and {len(either[1])} with it"
            raise UserError(f"There are {few}: give at least {FEWEST} of each.")
    features = features_of(extractor, to_uint8(examples.images))
    classifiers = {
        name: FeatureClassifier.of(
            extractor, features[[*without, *having]], torch.tensor([0] * len(without) + [1] * len(having))
        )
        for name, (without, having) in examples.attributes.items()
    }

    def scores(images: Tensor) -> dict[str, Tensor]:
        found = features_of(extractor, to_uint8(images))
        return {name: each.scores(found) for name, each in classifiers.items()}

    return scores
