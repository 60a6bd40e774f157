"""The confidence of a classifier in samples."""

import torch
from torch import Tensor

from gan_lab.common.bounds import Share
from gan_lab.common.errors import UserError
from gan_lab.evaluation.statistics import Comparison, Statistic, Values


class ConfidentCount(Statistic[float]):
    """Counts the images whose most probable class has at least some probability.

    Args:
        class_logits: the slice of the logits that are the data's classes.
        threshold: that probability.
    """

    confident: Tensor

    def __init__(self, class_logits: slice, threshold: float) -> None:
        super().__init__(str(class_logits), threshold)
        self.class_logits, self.threshold = class_logits, threshold
        self.add_sum_state("confident", dtype=torch.int64)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds logits (m, K) of the images with the numbers ``index`` (m,)."""
        self.confident += (values[:, self.class_logits].softmax(1).amax(1) >= self.threshold).sum()

    def compute(self) -> float:
        """Returns the share of these images over all ranks (collective)."""
        return int(self.confident) / int(self.count)


class Confidence(Comparison[float, float]):
    """``confident``, the share of samples that our classifier of the data's classes is confident in, and
    ``confident_real``, that of real images.

    Args:
        class_logits: the slice of the logits that are the data's classes.
        threshold: the least probability of a confident classification, in (0, 1].

    Raises:
        UserError: if the threshold is not in (0, 1].
    """

    input = "logits"

    def __init__(self, class_logits: slice, threshold: Share = 0.8) -> None:
        if not 0 < threshold <= 1:
            raise UserError(f"metrics.confidence.threshold={threshold} is not valid: give a number above 0, up to 1.")
        super().__init__(ConfidentCount(class_logits, threshold), ConfidentCount(class_logits, threshold))

    def compare(self, real: float, fake: float) -> Values:
        """Returns both shares."""
        return {".confident": fake, ".confident_real": real}
