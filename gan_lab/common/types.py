"""Types that all packages share: batches, losses, random streams, phases.

Shapes are written with N batch, C channels, H height, W width, Z latent, K classes, T frames.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from gan_lab.common.old_arguments import accept_old_arguments

Batch = dict[str, Tensor]
"""``image`` (N, C, H, W), ``label`` (N,); ``a``, ``b`` (unpaired); ``source``, ``target`` (paired);
``frames`` (N, T, C, H, W); ``mask``; ``attributes``. Images are float32 in [-1, 1] once on the device."""

Shared = Mapping[str, Tensor]
"""Tensors that several phases of one iteration share, such as ``fake``; see ``AlternatingModule.shared_forward``."""


@accept_old_arguments({"losses": "terms"})
@dataclass(frozen=True)
class Losses:
    """The losses of one phase.

    Args:
        terms: named scalar losses; their sum is minimised and each is logged as ``train/<phase>/<name>``.
        logs: named scalars that are only logged (D(x), perplexity, an unweighted KL).
    """

    terms: Mapping[str, Tensor]
    logs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        """The sum of all terms, a float32 scalar."""
        return torch.stack([loss.float() for loss in self.terms.values()]).sum()

    def scaled(self, weight: float) -> "Losses":
        """Returns the same losses with every term multiplied by ``weight``."""
        return Losses({name: weight * term for name, term in self.terms.items()}, self.logs)

    @classmethod
    def joined(cls, parts: Mapping[str, "Losses"]) -> "Losses":
        """Returns the losses of several parts as one, each name followed by its part's: ``adversarial_a``."""
        terms = {f"{name}_{part}": term for part, losses in parts.items() for name, term in losses.terms.items()}
        return cls(
            terms, {f"{name}_{part}": log for part, losses in parts.items() for name, log in losses.logs.items()}
        )


@runtime_checkable
class Stateful(Protocol):
    """An object with a state of plain containers and tensors, kept in checkpoints."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object: ...


class RandomStream(Protocol):
    """A reproducible source of the random numbers of one phase and iteration.

    Numbers are drawn for the global batch and sliced to the rows of this process. They do not depend on the number of
    ranks or micro-batches, and no two rows are equal.
    """

    def on_host(self) -> "RandomStream":
        """Returns this stream with results on the CPU, for decisions in Python that should not wait for the device."""

    def normal(self, n: int, *shape: int) -> Tensor:
        """Returns standard normal numbers (n, *shape) for the n local rows."""

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Returns numbers (n, *shape) uniform in [0, 1) for the n local rows."""

    def integers(self, n: int, high: int) -> Tensor:
        """Returns integers (n,), int64, uniform in [0, high) for the n local rows."""


@accept_old_arguments({"terms": "losses", "every": "interval", "fresh": "new_batch"})
@dataclass(frozen=True)
class Phase:
    """One optimization step of an iteration, such as the generator's.

    Args:
        name: of the phase; ``AlternatingModule.trainable(name)`` returns the parameters that it optimizes.
        losses: ``(batch, shared, noise) -> Losses``. May draw random numbers from ``noise``; must not step an
            optimizer, log, or change another phase's parameters.
        interval: run the phase every ``interval`` iterations (a generator's 5 is the paper's n_critic = 5).
        new_batch: give the phase a batch of its own, and the result of ``shared_forward`` for that batch.
        begin, end: run the phase while the used share of the budget is in [begin, end).
        stream: key of the phase's random numbers, its name if None. A phase that is renamed keeps its old name as the
            key, so that runs begun before continue exactly.
        optimizer: an earlier phase whose optimizer the phase steps too; None gives it one of its own.
    """

    name: str
    losses: Callable[[Batch, Shared, RandomStream], Losses]
    interval: int = 1
    new_batch: bool = False
    begin: float = 0.0
    end: float = 1.0
    stream: str | None = None
    optimizer: str | None = None

    @property
    def key(self) -> str:
        """Key of the phase's random numbers."""
        return self.stream or self.name

    def due(self, iteration: int, progress: float) -> bool:
        """Says whether the phase runs in an iteration, counted from 0, at a share of the budget in [0, 1]."""
        return (iteration + 1) % self.interval == 0 and self.begin <= progress < self.end
