"""The score exp(E KL(p(y|x) || p(y))) of a classifier: the Inception Score where the classifier is Inception.

Salimans et al. 2016, "Improved Techniques for Training GANs", section 4.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.evaluation.statistics import Comparison, Statistic, Values


class Scored(NamedTuple):
    """Mean and population deviation over the splits, and the share (K,) of pictures by their largest logit; float64."""

    mean: Tensor
    deviation: Tensor
    shares: Tensor


class ClassifierScore(Statistic):
    """Mean and deviation of the score over splits of the samples, exact over ranks and batches.

    A sample's split follows from its number alone, so a few float64 sums a split are all that is kept. Equal to
    torch-fidelity's, whose default shuffles with seed 2020: a split of pictures sorted by class says nothing.

    Args:
        classes: K, the number of logits.
        n: the number of samples that will come, over all ranks.
        splits: parts that are scored separately, at most n.
        shuffle: seed of the permutation before the samples are split, or None for their own order.
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
            raise ValueError(f"{n} samples cannot be scored in {splits} splits: choose 1 to {n}.")
        self.part = _parts(n, splits, shuffle)
        self.add_sum_state("number", splits)
        self.add_sum_state("mass", splits, classes)
        self.add_sum_state("negentropy", splits)
        self.add_sum_state("votes", classes)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Logits (m, K) of the samples whose numbers in [0, n) are index (m,)."""
        logits = values.to(self.mass)
        log_p = logits.log_softmax(1)
        p = log_p.exp()
        member = F.one_hot(self.part[index.cpu()], len(self.number)).to(p)
        self.number += member.sum(0)
        self.mass += member.T @ p
        self.negentropy += member.T @ (p * log_p).sum(1)
        self.votes += F.one_hot(logits.argmax(1), logits.shape[1]).sum(0)

    def compute(self) -> Scored:
        """Over all ranks (a collective)."""
        marginal = self.mass / self.number[:, None]
        divergence = self.negentropy / self.number - torch.special.xlogy(marginal, marginal).sum(1)
        scores = divergence.exp()
        return Scored(scores.mean(), scores.std(correction=0), self.votes / self.votes.sum())


class Score(Comparison):
    """``cs``, the score of the samples, ``cs.std`` its deviation over splits, ``cs.real`` that of the real pictures;
    and ``shares``, of samples by class.

    Args:
        dim: K, the number of logits.
        real, fake: how many pictures will come on each side, over all ranks.
        splits: 10 as published; fewer where there are fewer pictures.
    """

    input = "logits"
    baseline = ("cs",)

    def __init__(self, dim: int, real: int, fake: int, splits: int = 10) -> None:
        super().__init__(*(ClassifierScore(dim, n, min(splits, n)) for n in (real, fake)))

    def compare(self, real: Scored, fake: Scored) -> Values:
        deviation, shares = fake.deviation.item(), fake.shares.tolist()
        return {"cs": fake.mean.item(), "cs.std": deviation, "cs.real": real.mean.item(), "shares": shares}


def _parts(n: int, splits: int, shuffle: int | None) -> Tensor:
    """The split (n,) of each sample: split s holds places s·n // splits up to (s + 1)·n // splits."""
    bounds = torch.arange(1, splits) * n // splits
    part = torch.bucketize(torch.arange(n), bounds, right=True)
    if shuffle is None:
        return part
    order = np.random.RandomState(shuffle).permutation(n)  # the reference's generator
    placed = torch.empty_like(part)
    placed[torch.from_numpy(order)] = part
    return placed
