"""Choosing samples that augment a set of labelled images: of the right class, and no copies of its images."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gan_lab.common.bounds import Probability
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.evaluation.feature_classifier import FeatureClassifier, features_of
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.metrics.neighbours import nearest

COPIES = 0.01
"""Share of the set's own images that lie nearer to another one than a sample may: nearer samples count as copies."""


class Judgement(NamedTuple):
    """A curator's view of samples.

    Args:
        confidence: probability of the wanted class, (N,).
        nearest: distance from the nearest image of the set, (N,).
        kept: bool (N,).
    """

    confidence: Tensor
    nearest: Tensor
    kept: Tensor


@dataclass(frozen=True)
class Curator:
    """Judges samples by a classifier over an extractor's features, and by their distance from the set.

    Args:
        extractor: of features.
        classifier: fitted to the set's features.
        features: of the set, (N, D).
        too_near: distance below which a sample is a copy.
        confidence: least probability of the wanted class.
    """

    extractor: Extractor
    classifier: FeatureClassifier
    features: Tensor
    too_near: float
    confidence: Probability

    @classmethod
    def of(cls, extractor: Extractor, images: Tensor, labels: Tensor, confidence: Probability = 0.8) -> "Curator":
        """Fits a curator to a set.

        Args:
            extractor: of features.
            images: uint8 (N, C, H, W).
            labels: classes (N,).
            confidence: least probability of the wanted class.

        Raises:
            UserError: for a set of a single class, or of fewer than ten images.
        """
        if len(labels.unique()) < 2 or len(labels) < 10:
            raise UserError("Samples are judged against at least ten images of two classes: give more data.")
        features = features_of(extractor, images)
        classifier = FeatureClassifier.of(extractor, features, labels)
        own = nearest(features, features, 2).squares[:, 1].sqrt()
        return cls(extractor, classifier, features, float(own.quantile(COPIES)), confidence)

    def judge(self, images: Tensor, label: int) -> Judgement:
        """Judges samples (N, C, H, W) in [-1, 1] that shall be of a class."""
        features = features_of(self.extractor, to_uint8(images))
        confidence = self.classifier.chances(features, label)
        distances = nearest(features, self.features).squares[:, 0].sqrt()
        return Judgement(confidence, distances, (confidence >= self.confidence) & (distances >= self.too_near))
