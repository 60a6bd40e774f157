"""Shares of confident classifications, of logits whose probabilities are known."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.evaluation.metrics.classifier_confidence import Confidence


def logits(*confidence):
    """Returns logits with these probabilities of the second known class, and a third class that is not asked for."""
    confidence = torch.tensor(confidence, dtype=torch.float64)
    return torch.stack([(1 - confidence).log(), confidence.log(), torch.full_like(confidence, 50)], 1)


def test_the_share_of_confident_images_among_the_known_classes():
    metric = Confidence(slice(0, 2), threshold=0.8)
    metric.update(logits(0.95, 0.81), False)
    metric.update(logits(0.79, 0.5, 0.1), False)  # the last is confidently of the first class
    metric.update(logits(0.9, 0.6), True)
    assert metric.compute() == {".confident": 3 / 5, ".confident_real": 1 / 2}


def test_a_threshold_above_one_raises():
    with pytest.raises(UserError, match=r"threshold=1.5 is not valid"):
        Confidence(slice(0, 2), threshold=1.5)
