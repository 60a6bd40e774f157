"""How many modes a model finds, on data whose modes are known."""

import math
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.capabilities import Samples
from gan_lab.common.precision import full_precision
from gan_lab.data.subsets import shared_blocks
from gan_lab.evaluation.features.extractors import Grey
from gan_lab.evaluation.statistics import Comparison, Statistic, Values


class Modes(Statistic):
    """Counts samples by their modes.

    Args:
        modes: K.
    """

    counts: Tensor
    bad: Tensor

    def __init__(self, modes: int, *key: object) -> None:
        super().__init__(modes, *key)
        self.add_sum_state("counts", modes, dtype=torch.int64)
        self.add_sum_state("bad", dtype=torch.int64)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Modes (N,) of samples, -1 for none."""
        self.counts += torch.bincount(values[values >= 0], minlength=len(self.counts))
        self.bad += (values < 0).sum()

    def compute(self) -> dict[str, float]:
        """``modes`` found, the share of good samples, ``modes_good``, the Kullback-Leibler divergence of these from the
        uniform distribution in nats, ``modes_kl``, and one figure to go down, ``modes_missed``, 1 - good · found / K.
        """
        counts = self.counts.cpu().double()
        good, found = counts.sum() / (counts.sum() + int(self.bad)), int((counts > 0).sum())
        share = counts / counts.sum().clamp(min=1)
        divergence = torch.special.xlogy(share, share * len(counts)).sum() if found else torch.tensor(math.inf)
        missed = 1 - float(good) * found / len(counts)
        return {"modes": found, "modes_good": float(good), "modes_kl": float(divergence), "modes_missed": missed}


class StackedDigits:
    """uint8 pictures (N, 3, H, W) of three digits, one a channel: their number by our classifier; all are good."""

    modes = 1000

    def __init__(self, grey: Grey) -> None:
        self.grey = grey

    def describe(self) -> dict[str, str]:
        """Plain facts for a protocol."""
        return {"name": self.grey.name, "sha256": self.grey.sha256}

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        logits = self.grey.to(images.device)(images.flatten(0, 1)[:, None])[1]
        digits = logits[:, Grey.digits].argmax(1).view(-1, 3)
        return digits @ torch.tensor([100, 10, 1], device=digits.device)


class Judged(Modes):
    """Counts uint8 pictures by the modes that a judge finds."""

    def __init__(self, judge: StackedDigits) -> None:
        super().__init__(judge.modes, judge.describe())
        self.judge = judge

    def add(self, values: Tensor, index: Tensor) -> None:
        """Pictures (m, C, H, W)."""
        super().add(self.judge(values), index)


class ModesFound(Comparison):
    """The figures of ``Modes``; of the real pictures only how many are found, ``modes_real``.

    Args:
        judge: of the data's modes.
    """

    input = "images"

    def __init__(self, judge: StackedDigits) -> None:
        super().__init__(Judged(judge), Judged(judge))

    def compare(self, real: dict[str, float], fake: dict[str, float]) -> Values:
        return {**fake, "modes_real": real["modes"]}


@torch.no_grad()
@full_precision()
def count_modes(
    model: Samples,
    judge: Any,
    n: int,
    seed: int = 0,
    truncation: float = 1.0,
    batch_size: int = 256,
    device: Any = "cpu",
    progress: bool = True,
) -> dict[str, float]:
    """The figures of ``Modes`` over samples 0 … n - 1 of the seed; a collective.

    Args:
        judge: samples (N, C, H, W) → the mode of each, int64 (N,), -1 where it is of none; ``modes`` says how many are.
    """
    metric = Modes(judge.modes).to(device)
    for start, count in shared_blocks(n, batch_size, "counting modes", progress):
        metric.update(judge(model.sample(count, seed=seed, start=start, truncation=truncation)))
    found: dict[str, float] = metric.compute()
    return found
