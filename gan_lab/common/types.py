"""The words every part of the program shares: batches, terms, phases, the image range.

Shapes are written with N batch, C channels, H height, W width, Z latent, K classes, T frames.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from gan_lab.common.deprecation import OldName, accept_old_arguments

Batch = dict[str, Tensor]
"""``image`` (N, C, H, W), ``label`` (N,); ``a``, ``b`` (unpaired); ``source``, ``target`` (paired);
``frames`` (N, T, C, H, W); ``mask``; ``attributes``. Images are float32 in [-1, 1] once on the device."""

Shared = Mapping[str, Tensor]
"""What several phases of one iteration share, such as ``fake``: computed once (see ``AlternatingModule.shared_forward``)."""


@accept_old_arguments({"losses": "terms"})
@dataclass(frozen=True)
class Losses:
    """What one phase computes.

    Args:
        losses: named scalar losses; their sum is minimised and each is logged as ``train/<phase>/<name>``.
        logs: named scalars that are only logged (D(x), perplexity, an unweighted KL).
    """

    terms: Mapping[str, Tensor]
    logs: Mapping[str, Tensor] = field(default_factory=dict)
    losses = OldName("losses", "terms")

    @property
    def total(self) -> Tensor:
        return torch.stack([loss.float() for loss in self.terms.values()]).sum()


class RandomStream(Protocol):
    """The random numbers of one turn: drawn for the global batch, sliced to the rows this process works on.

    The same numbers whatever the number of ranks or micro-batches, and never the same row twice.
    """

    def on_host(self) -> "RandomStream":
        """The same stream, its numbers left on the CPU: for choices that Python makes, without waiting for a device."""

    def normal(self, n: int, *shape: int) -> Tensor:
        """Standard normal numbers (n, *shape) for the n local rows."""

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Numbers (n, *shape) uniform in [0, 1) for the n local rows."""

    def integers(self, n: int, high: int) -> Tensor:
        """Whole numbers (n,) uniform in [0, high) for the n local rows, int64."""


@accept_old_arguments({"terms": "losses", "every": "interval", "fresh": "new_batch"})
@dataclass(frozen=True)
class Phase:
    """One player's turn.

    Args:
        name: the player; ``AlternatingModule.trainable(name)`` gives the parameters that step.
        terms: ``(batch, drawn, noise) -> Terms``. May draw random numbers from ``noise``; never steps, logs, or changes
            another phase's parameters.
        interval: the turn is taken in every so manieth iteration (the generator's ``every=5`` is a paper's n_critic = 5).
        new_batch: whether it gets a batch of its own, and what ``shared_forward`` makes of that.
        begin, end: the share of the budget from which on, and until which, turns are taken.
    """

    name: str
    losses: Callable[[Batch, Shared, RandomStream], Losses]
    interval: int = 1
    new_batch: bool = False
    begin: float = 0.0
    end: float = 1.0

    def due(self, iteration: int, progress: float) -> bool:
        """Whether the turn is taken in that iteration (from 0 on), at that share of the budget."""
        return (iteration + 1) % self.interval == 0 and self.begin <= progress < self.end
