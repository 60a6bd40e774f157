"""How sure a classifier is of what samples show."""

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.evaluation.statistics import Comparison, Statistic, Values


class Sure(Statistic):
    """How many pictures a classifier gives one class at least so much probability.

    Args:
        known: where among the logits the data's classes are.
        least: that probability.
    """

    sure: Tensor

    def __init__(self, known: slice, least: float) -> None:
        super().__init__(str(known), least)
        self.known, self.least = known, least
        self.add_sum_state("sure", dtype=torch.int64)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Logits (m, K)."""
        self.sure += (values[:, self.known].softmax(1).amax(1) >= self.least).sum()

    def compute(self) -> float:
        """The share, over all ranks (a collective)."""
        return int(self.sure) / int(self.count)


class Confidence(Comparison):
    """``confident``, the share of samples that our classifier of the data's classes is sure of, and
    ``confident_real``, that of real pictures.

    Args:
        known: where among the extractor's logits the data's classes are.
        least: the probability from which on it is sure.

    Raises:
        UserError: for what is no probability.
    """

    input = "logits"

    def __init__(self, known: slice, least: float = 0.8) -> None:
        if not 0 < least <= 1:
            raise UserError(f"metrics.confidence.least={least} is no probability: give one above 0, up to 1.")
        super().__init__(Sure(known, least), Sure(known, least))

    def compare(self, real: float, fake: float) -> Values:
        return {".confident": fake, ".confident_real": real}
