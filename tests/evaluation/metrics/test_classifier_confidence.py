"""Shares of sure calls, of logits whose probabilities are known."""

import pytest
import torch

from gan_lab.common.errors import UserError
from gan_lab.evaluation.metrics.classifier_confidence import Confidence


def logits(*sure):
    """Of pictures whose second known class has such a probability, beside a class that is not asked for."""
    sure = torch.tensor(sure, dtype=torch.float64)
    return torch.stack([(1 - sure).log(), sure.log(), torch.full_like(sure, 50)], 1)


def test_the_share_of_sure_calls_among_the_known_classes():
    part = Confidence(slice(0, 2), least=0.8)
    part.update(logits(0.95, 0.81), False)
    part.update(logits(0.79, 0.5, 0.1), False)  # the last is sure of the first class
    part.update(logits(0.9, 0.6), True)
    assert part.compute() == {".confident": 3 / 5, ".confident_real": 1 / 2}


def test_what_is_no_probability_is_refused():
    with pytest.raises(UserError, match=r"least=1.5 is no probability"):
        Confidence(slice(0, 2), least=1.5)
