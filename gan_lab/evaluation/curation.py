"""Choosing samples that augment a set of labelled images: of the right class, and no copies of its images."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gan_lab.common.bounds import Probability
from gan_lab.common.errors import UserError
from gan_lab.common.images import to_uint8
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.metrics.neighbours import nearest

AT_ONCE = 64
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
        classifier: scikit-learn's, fitted to the set's features.
        features: of the set, (N, D).
        too_near: distance below which a sample is a copy.
        confidence: least probability of the wanted class.
    """

    extractor: Extractor
    classifier: object
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
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if len(labels.unique()) < 2 or len(labels) < 10:
            raise UserError("Samples are judged against at least ten images of two classes: give more data.")
        features = _features(extractor, images)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1))
        classifier.fit(features.numpy(), labels.numpy())
        own = nearest(features, features, 2).squares[:, 1].sqrt()
        return cls(extractor, classifier, features, float(own.quantile(COPIES)), confidence)

    def judge(self, images: Tensor, label: int) -> Judgement:
        """Judges samples (N, C, H, W) in [-1, 1] that shall be of a class."""
        features = _features(self.extractor, to_uint8(images))
        classes = [int(each) for each in self.classifier.classes_]  # type: ignore[attr-defined]
        chances = torch.from_numpy(self.classifier.predict_proba(features.numpy()))  # type: ignore[attr-defined]
        confidence = chances[:, classes.index(label)] if label in classes else torch.zeros(len(images))
        distances = nearest(features, self.features).squares[:, 0].sqrt()
        return Judgement(confidence, distances, (confidence >= self.confidence) & (distances >= self.too_near))


@torch.no_grad()
def _features(extractor: Extractor, images: Tensor) -> Tensor:
    device = next(iter(extractor.buffers())).device
    return torch.cat([extractor.extract(part.to(device))[0].cpu() for part in images.split(AT_ONCE)])
