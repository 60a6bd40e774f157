"""The sizes of a run's evaluations: small budgets, in images, epochs or minutes, have small evaluations."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.distributed import broadcast, rank_and_world_size
from gan_lab.common.stopping import separately
from gan_lab.evaluation.evaluators.base import Evaluator

SHARES = {"quick": 0.04, "final": 0.16}
"""Shares of the budget that the last evaluations may take after it, by tier."""

SMALLEST = 256
"""Number of generated items below which no evaluation is reduced."""

REAL_PER_GENERATED = 5
"""Real items for each generated one, where a budget reduces these: they add about a fifth to the bias of a distance."""

Sizes = dict[str, list[int | None]]
"""By tier, the number of generated items, and the largest number of real ones (None: all)."""


def images_to_show(trainer: Trainer, module: Any) -> int | None:
    """Returns how many items the whole run shows to the model; None if only the time limits it."""
    budget = getattr(module, "budget", None)
    shown: list[int] = [budget.images] if budget and budget.images else []
    epochs: list[float] = [budget.epochs] if budget and budget.epochs else []
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        epochs.append(trainer.max_epochs)
    if epochs and (per_epoch := _images_per_epoch(trainer, module)):
        shown.append(round(min(epochs) * per_epoch))
    return min(shown, default=None)


def _images_per_epoch(trainer: Trainer, module: Any) -> float | None:
    """Returns the items of an epoch over all ranks, or None if the size of a batch is not known."""
    loader: Any = trainer.train_dataloader
    batch_size = getattr(getattr(trainer, "datamodule", None), "batch_size", None)
    if batch_size is None:
        own = getattr(loader, "batch_size", None)
        batch_size = own and own * trainer.world_size
    batches = getattr(loader, "per_epoch", trainer.num_training_batches)
    if not isinstance(batch_size, int) or batches == float("inf"):
        return None
    return float(batches * batch_size * getattr(module, "batches_per_iteration", 1))


def fit_to_images(evaluators: Mapping[str, Evaluator[Any, Any]], shown: int) -> None:
    """Reduces evaluations to as many items as the run shows to the model, and says so for the last one.

    Args:
        evaluators: by tier; those that have not evaluated yet.
        shown: the number of items that the run shows.
    """
    n = max(SMALLEST, shown)
    for tier, evaluator in evaluators.items():
        if n >= evaluator.most:
            continue
        if tier == "final":
            rank_zero_info(
                f"This run trains on {shown:,} items, so {n:,} are generated for the last metrics instead of "
                f"{evaluator.most:,}: callbacks.fidelity.n=… sets the number."
            )
        evaluator.n, evaluator.limit = n, _smaller(REAL_PER_GENERATED * n, evaluator.limit)


def _smaller(limit: int | None, other: int | None) -> int | None:
    """Returns the smaller of two limits, either of which may be None: no limit."""
    return min((each for each in (limit, other) if each), default=None)


def fitting_sizes(evaluators: Mapping[str, Evaluator[Any, Any]], model: Any, minutes: float) -> Sizes:
    """Measures the cost of an item, and returns sizes whose evaluations take a fifth of the budget (collective).

    Half of the time is for generated items, half for real ones; an evaluation is never enlarged.

    Args:
        evaluators: by tier.
        model: the model.
        minutes: the budget.
    """
    found: Sizes = {}
    for tier, evaluator in evaluators.items():
        generate, extract = broadcast(separately(partial(evaluator.seconds_per_item, model)))
        half = 60 * minutes * SHARES[tier] / 2 * rank_and_world_size()[1]
        n = _at_most(half, generate + extract) or evaluator.n
        real = _at_most(half, extract)
        found[tier] = [min(n, evaluator.n), _smaller(real, evaluator.limit)]
    return found


def _at_most(seconds: float, each: float) -> int | None:
    """Returns how many items fit a time, or None for items without a cost."""
    return max(SMALLEST, int(seconds / each)) if each > 0 else None


def apply_sizes(evaluators: Mapping[str, Evaluator[Any, Any]], sizes: Sizes, minutes: float) -> None:
    """Sets the sizes of evaluators that have not evaluated yet, and says so if the last one becomes smaller."""
    for tier, (n, limit) in sizes.items():
        if (evaluator := evaluators.get(tier)) is None or n is None:
            continue
        if tier == "final" and n < evaluator.most:
            seconds = 60 * minutes * sum(SHARES.values())
            rank_zero_info(
                f"After these {minutes:g} minutes the last metrics take up to {seconds:.0f} s more, so {n:,} items are "
                f"generated for them instead of {evaluator.most:,}: callbacks.fidelity.n=… sets the number."
            )
        evaluator.n, evaluator.limit = min(n, evaluator.n), _smaller(limit, evaluator.limit)
