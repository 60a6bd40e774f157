"""Mode counting, on data whose modes are known.

Metz et al. 2017, "Unrolled Generative Adversarial Networks" (mixtures of Gaussians, stacked MNIST); Srivastava et al.
2017, "VEEGAN", counts modes, high-quality samples and the KL divergence from the uniform distribution.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from gan_lab.common.capabilities import Samples
from gan_lab.common.precision import full_precision
from gan_lab.common.stopping import separately
from gan_lab.data.subsets import shared_blocks
from gan_lab.evaluation.features.extractors import Grey
from gan_lab.evaluation.statistics import Comparison, Statistic, Values


class ModeClassifier(Protocol):
    """Assigns samples to modes."""

    modes: int
    """K, the number of modes."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Returns the modes of images (N, C, H, W), int64 (N,); -1 for none."""


class ModeCounts(Statistic[dict[str, float]]):
    """Counts the samples of each mode.

    Args:
        modes: K, the number of modes.
        key: see ``Statistic``.
    """

    counts: Tensor
    bad: Tensor

    def __init__(self, modes: int, *key: object) -> None:
        super().__init__(modes, *key)
        self.add_sum_state("counts", modes, dtype=torch.int64)
        self.add_sum_state("bad", dtype=torch.int64)

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds the modes (m,) of the samples with the numbers ``index`` (m,); -1 for none."""
        self.counts += torch.bincount(values[values >= 0], minlength=len(self.counts))
        self.bad += (values < 0).sum()

    def compute(self) -> dict[str, float]:
        """Returns the metrics over all ranks (collective).

        - ``modes``: modes with at least one sample;
        - ``modes_good``: the share of samples that belong to a mode;
        - ``modes_kl``: the Kullback-Leibler divergence of these from the uniform distribution over modes, in nats;
        - ``modes_missed``: one number to minimise, 1 - good · found / K.
        """
        counts = self.counts.cpu().double()
        good, found = counts.sum() / (counts.sum() + int(self.bad)), int((counts > 0).sum())
        share = counts / counts.sum().clamp(min=1)
        divergence = torch.special.xlogy(share, share * len(counts)).sum() if found else torch.tensor(math.inf)
        missed = 1 - float(good) * found / len(counts)
        return {"modes": found, "modes_good": float(good), "modes_kl": float(divergence), "modes_missed": missed}


class StackedDigitClassifier:
    """Reads the three digits of stacked MNIST, one in each channel, by our classifier: their number is the mode.

    Every image has a mode.

    Args:
        grey: the digit classifier.
    """

    modes = 1000

    def __init__(self, grey: Grey) -> None:
        self.grey = grey

    def describe(self) -> dict[str, str]:
        """Returns plain values for the protocol."""
        return {"name": self.grey.name, "sha256": self.grey.sha256}

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Returns the modes of uint8 images (N, 3, H, W), int64 (N,) in [0, 1000)."""
        logits = self.grey.to(images.device)(images.flatten(0, 1)[:, None])[1]
        digits = logits[:, Grey.digits].argmax(1).view(-1, 3)
        return digits @ torch.tensor([100, 10, 1], device=digits.device)


class ClassifiedModeCounts(ModeCounts):
    """Counts the modes of images.

    Args:
        classifier: finds their modes.
    """

    def __init__(self, classifier: StackedDigitClassifier) -> None:
        super().__init__(classifier.modes, classifier.describe())
        self.classifier = classifier

    def accumulate(self, values: Tensor, index: Tensor) -> None:
        """Adds uint8 images (m, C, H, W) with the numbers ``index`` (m,)."""
        super().accumulate(self.classifier(values), index)


class ModeCoverage(Comparison[dict[str, float], dict[str, float]]):
    """The metrics of ``ModeCounts``, and ``modes_real``, the number of modes found among the real images.

    Args:
        mode_classifier: finds the modes of images.
    """

    input = "images"

    def __init__(self, mode_classifier: StackedDigitClassifier) -> None:
        super().__init__(ClassifiedModeCounts(mode_classifier), ClassifiedModeCounts(mode_classifier))

    def compare(self, real: dict[str, float], fake: dict[str, float]) -> Values:
        """Returns the metrics of both counts."""
        return {**fake, "modes_real": real["modes"]}


@torch.no_grad()
@full_precision()
def count_modes(
    model: Samples,
    classifier: ModeClassifier,
    n: int,
    seed: int = 0,
    truncation: float = 1.0,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> dict[str, float]:
    """Returns the metrics of ``ModeCounts`` over samples 0 … n - 1 of the seed (collective)."""
    counts = ModeCounts(classifier.modes).to(device)

    def count_share() -> None:
        for start, count in shared_blocks(n, batch_size, "counting modes", progress):
            counts.update(classifier(model.sample(count, seed=seed, start=start, truncation=truncation)))

    separately(count_share)
    found: dict[str, float] = counts.compute()
    return found
