"""The size of a run's last evaluation, where the run has a budget of minutes: small budgets have small evaluations."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.distributed import broadcast, rank_and_world_size
from gan_lab.evaluation.evaluators.base import Evaluator

SHARES = {"quick": 0.04, "final": 0.16}
"""Shares of the budget that the last evaluations may take after it, by tier."""

SMALLEST = 256
"""Number of generated items below which no evaluation is reduced."""

Sizes = dict[str, list[int | None]]
"""By tier, the number of generated items, and the largest number of real ones (None: all)."""


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
        generate, extract = broadcast(evaluator.seconds_per_item(model))
        half = 60 * minutes * SHARES[tier] / 2 * rank_and_world_size()[1]
        n = _at_most(half, generate + extract) or evaluator.n
        real = _at_most(half, extract)
        limit = evaluator.limit if real is None else min(real, evaluator.limit or real)
        found[tier] = [min(n, evaluator.n), limit]
    return found


def _at_most(seconds: float, each: float) -> int | None:
    """Returns how many items fit a time, or None for items without a cost."""
    return max(SMALLEST, int(seconds / each)) if each > 0 else None


def apply_sizes(evaluators: Mapping[str, Evaluator[Any, Any]], sizes: Sizes, minutes: float) -> None:
    """Sets the sizes of evaluators that have not evaluated yet, and says so if the last one becomes smaller."""
    for tier, (n, limit) in sizes.items():
        if (evaluator := evaluators.get(tier)) is None or n is None:
            continue
        if tier == "final" and n < evaluator.n:
            seconds = 60 * minutes * sum(SHARES.values())
            rank_zero_info(
                f"After these {minutes:g} minutes the last metrics take up to {seconds:.0f} s more, so {n:,} items are "
                f"generated for them instead of {evaluator.n:,}: callbacks.fidelity.n=… sets the number."
            )
        evaluator.n, evaluator.limit = n, limit
