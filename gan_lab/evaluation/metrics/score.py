"""The classifier score exp(E KL(p(y|x) ‖ p(y))): the Inception Score if the classifier is Inception.

Salimans et al. 2016, "Improved Techniques for Training GANs", section 4.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import PositiveInt
from gan_lab.evaluation.statistics import Comparison, Statistic, Values


class Scored(NamedTuple):
    """Mean and population deviation over the splits, and the share of images in each class (K,); float64."""

    mean: Tensor
    deviation: Tensor
    shares: Tensor


class ClassifierScore(Statistic[Scored]):
    """The mean and deviation of the score over splits of the samples, exact over ranks and batches.

    The split of a sample depends on its number only, so a few float64 sums for each split are enough. The result equals
    torch-fidelity's, which by default shuffles with seed 2020: a split of images sorted by class would be meaningless.

    Args:
        classes: K, the number of logits.
        n: the number of samples over all ranks.
        splits: parts that are scored separately, at most n.
        shuffle: seed of the permutation before splitting; None keeps the samples' order.

    Raises:
        ValueError: if ``splits`` is not in 1 … n.
    """

    is_differentiable = False
    higher_is_better = True
    number: Tensor
    mass: Tensor
    negentropy: Tensor
    votes: Tensor

    def __init__(self, classes: int, n: int, splits: int = 10, shuffle: int | None = 2020) -> None:
        super().__init__(classes, n, splits, shuffle)
        if not 1 <= splits <= n:
            raise ValueError(f"splits={splits} is not valid for {n} samples: give 1 to {n}.")
        self.split = _splits(n, splits, shuffle)
        self.add_sum_state("number", splits)
        self.add_sum_state("mass", splits, classes)
        self.add_sum_state("negentropy", splits)
        self.add_sum_state("votes", classes)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds logits (m, K) of the samples with the numbers ``index`` (m,) in [0, n)."""
        logits = values.to(self.mass)
        log_p = logits.log_softmax(1)
        p = log_p.exp()
        member = F.one_hot(self.split[index.cpu()], len(self.number)).to(p)
        self.number += member.sum(0)
        self.mass += member.T @ p
        self.negentropy += member.T @ (p * log_p).sum(1)
        self.votes += F.one_hot(logits.argmax(1), logits.shape[1]).sum(0)

    def compute(self) -> Scored:
        """Returns the score over all ranks (collective)."""
        marginal = self.mass / self.number[:, None]
        divergence = self.negentropy / self.number - torch.special.xlogy(marginal, marginal).sum(1)
        scores = divergence.exp()
        return Scored(scores.mean(), scores.std(correction=0), self.votes / self.votes.sum())


class Score(Comparison[Scored, Scored]):
    """``cs``, the score of the samples, ``cs.std``, its deviation over splits, and ``cs.real``, that of real images.

    The curve ``shares`` is the share of samples in each class.

    Args:
        dim: K, the number of logits.
        real, fake: the number of images on each side over all ranks.
        splits: 10 as published; fewer if there are fewer images.
    """

    input = "logits"
    baseline_keys = ("cs",)

    def __init__(self, dim: PositiveInt, real: PositiveInt, fake: PositiveInt, splits: PositiveInt = 10) -> None:
        super().__init__(*(ClassifierScore(dim, n, min(splits, n)) for n in (real, fake)))

    def compare(self, real: Scored, fake: Scored) -> Values:
        """Returns the metrics of both scores."""
        deviation, shares = fake.deviation.item(), fake.shares.tolist()
        return {"cs": fake.mean.item(), "cs.std": deviation, "cs.real": real.mean.item(), "shares": shares}


def _splits(n: int, splits: int, shuffle: int | None) -> Tensor:
    """Returns the split of each sample, (n,): split s holds places s·n // splits up to (s + 1)·n // splits."""
    bounds = torch.arange(1, splits) * n // splits
    split = torch.bucketize(torch.arange(n), bounds, right=True)
    if shuffle is None:
        return split
    order = np.random.RandomState(shuffle).permutation(n)  # the generator of torch-fidelity
    shuffled = torch.empty_like(split)
    shuffled[torch.from_numpy(order)] = split
    return shuffled
