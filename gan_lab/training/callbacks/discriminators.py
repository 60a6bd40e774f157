"""Verdicts on discriminators from their logs of many steps: they have won, or are at chance."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.common.bounds import PositiveInt

Outputs = Mapping[str, Mapping[str, Tensor]]
"""What ``training_step`` returns: {phase: {term: scalar}}."""
WON, CERTAIN = 0.99, 0.02
"""Accuracy of a discriminator that has won, and the distance from ½ of one that guesses."""
SEPARATED = 0.25
"""Lead, in its own fluctuations from step to step, below which the logits do not separate real and generated images."""


@dataclass(frozen=True)
class Window:
    """The means over the steps of a window.

    Args:
        accuracy: share of logits on the right side of the decision threshold; not a number without a threshold.
        lead: mean logit of real images minus that of generated ones.
        fluctuation: standard deviation of the lead over the steps.
        grows: the lead is no smaller in the second half than in the first.
    """

    accuracy: float
    lead: float
    fluctuation: float
    grows: bool

    @property
    def has_won(self) -> bool:
        """True if nearly all images are on their side of the threshold, and the generator does not catch up."""
        return self.accuracy >= WON and self.grows

    @property
    def is_at_chance(self) -> bool:
        """True if real and generated images have the same logits, and none are on the right side more often."""
        guesses = math.isnan(self.accuracy) or abs(self.accuracy - 0.5) <= CERTAIN
        return guesses and abs(self.lead) <= SEPARATED * self.fluctuation + 1e-6

    @property
    def values(self) -> dict[str, float]:
        """The values to log, by name."""
        known = {} if math.isnan(self.accuracy) else {"discriminator_accuracy": self.accuracy}
        return {**known, "discriminator_lead": self.lead}


class DiscriminatorWatch:
    """Gathers what the discriminators' phases log, and reads it from the device once a window.

    Args:
        steps: length of a window.
    """

    def __init__(self, steps: PositiveInt) -> None:
        self.steps = steps
        self.verdicts: list[Tensor] = []
        self.times_at_chance = 0

    def add(self, outputs: Outputs) -> Window | None:
        """Takes an iteration's logs; returns the window that they complete, if they do."""
        verdicts = [verdict for terms in outputs.values() for verdict in _verdicts(terms)]
        if not verdicts:
            return None
        self.verdicts.append(torch.stack(verdicts).mean(0))
        if len(self.verdicts) < self.steps:
            return None
        accuracy, lead = torch.stack(self.verdicts).cpu().unbind(1)
        self.verdicts.clear()
        early, late = (half.mean() for half in lead.tensor_split(2))
        spread = float(lead.std(correction=0))
        window = Window(float(accuracy.mean()), float(lead.mean()), spread, bool(late >= early))
        self.times_at_chance = self.times_at_chance + 1 if window.is_at_chance else 0
        return window


def _verdicts(terms: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """Yields accuracy and lead, (2,), of each discriminator that logs mean logits, under plain or suffixed names."""
    for name in terms:
        suffix = name.removeprefix("real")
        if name.startswith("real") and f"fake{suffix}" in terms:
            lead = terms[name].float() - terms[f"fake{suffix}"].float()
            accuracy = terms.get(f"accuracy{suffix}", torch.full_like(lead, math.nan)).float()
            yield torch.stack([accuracy, lead])
