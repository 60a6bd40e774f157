"""A score that parts images like two sets of examples."""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.evaluation.feature_classifier import FeatureClassifier, features_of
from gan_lab.evaluation.features.extractors import Extractor

FEWEST = 5
"""Examples of either set, at least."""


def score_of(extractor: Extractor, a: Tensor, b: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns a function from images (N, C, H, W) to scores (N,): above 0 they look like the second set.

    Args:
        extractor: its features are parted by logistic regression.
        a, b: examples (N, C, H, W) in [-1, 1], of either set.

    Raises:
        UserError: for fewer than ``FEWEST`` examples of a set.
    """
    if min(len(a), len(b)) < FEWEST:
        raise UserError(f"Two sets of examples need at least {FEWEST} images each: give more in a= and b=.")
    labels = torch.arange(2).repeat_interleave(torch.tensor([len(a), len(b)]))
    examples = features_of(extractor, to_uint8(torch.cat([a, b])))
    classifier = FeatureClassifier.of(extractor, examples, labels)
    return lambda images: classifier.scores(features_of(extractor, to_uint8(images)))
