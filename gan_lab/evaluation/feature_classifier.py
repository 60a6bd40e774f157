"""A classifier over an extractor's features, fitted in a second."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gan_lab.evaluation.features.extractors import Extractor

AT_ONCE = 64


@dataclass(frozen=True)
class FeatureClassifier:
    """Logistic regression over standardised features.

    Args:
        extractor: of the features.
        model: scikit-learn's, fitted.
    """

    extractor: Extractor
    model: Any

    @classmethod
    def of(cls, extractor: Extractor, features: Tensor, labels: Tensor) -> "FeatureClassifier":
        """Fits a classifier to features (N, D) and classes (N,)."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1))
        return cls(extractor, model.fit(features.numpy(), labels.numpy()))

    def chances(self, features: Tensor, label: int) -> Tensor:
        """Returns the probabilities (N,) of a class, given features (N, D); 0 for one that it was not fitted to."""
        classes = [int(each) for each in self.model.classes_]
        if label not in classes:
            return torch.zeros(len(features))
        return torch.from_numpy(self.model.predict_proba(features.numpy())[:, classes.index(label)])

    def predicted(self, values: Tensor) -> Tensor:
        """Returns the most probable classes, int64 (N,), given features (N, D) on any device."""
        return torch.from_numpy(self.model.predict(values.cpu().numpy()))

    def scores(self, features: Tensor) -> Tensor:
        """Returns scores (N,), given features (N, D): above 0 for the second of two classes."""
        return torch.from_numpy(self.model.decision_function(features.numpy()))


@torch.no_grad()
def features_of(extractor: Extractor, images: Tensor) -> Tensor:
    """Returns the features (N, D), on the CPU, of images, uint8 (N, C, H, W), on any device."""
    device = next(iter(extractor.buffers())).device
    return torch.cat([extractor.extract(part.to(device))[0].cpu() for part in images.split(AT_ONCE)])
