"""Hyperparameters of optimizers: those they were made with, and those a resumed run goes on with."""

from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer

SCHEDULED = ("lr", "betas")
"""Hyperparameters that schedules change; an optimizer's state has their initial values, see ``remember_initial``."""
OTHERS = ("eps", "weight_decay", "alpha")

Hyperparameters = list[dict[str, Any]]
"""Hyperparameters by name, for each group of parameters."""


def hyperparameters(optimizer: Optimizer) -> Hyperparameters:
    """Returns the hyperparameters that an optimizer was made with."""
    names = (*SCHEDULED, *OTHERS, "fused")
    return [{name: group[name] for name in names if name in group} for group in optimizer.param_groups]


def set_hyperparameters(optimizer: Optimizer, made_with: Hyperparameters, ended: Sequence[str] = ()) -> None:
    """Gives an optimizer, whose state was restored, the hyperparameters that it was made with.

    One that schedules may have changed since is set only if its initial value is another one, or its schedule ended:
    else the run goes on where it was.

    Args:
        optimizer: after its state was restored.
        made_with: see ``hyperparameters``.
        ended: names of those that a schedule changed when the state was saved, and none changes now.
    """
    for group, values in zip(optimizer.param_groups, made_with, strict=False):
        for name, value in values.items():
            initial = f"initial_{name}"
            changed = not _equal(group.get(initial, group.get(name)), value)
            if name in SCHEDULED and (changed or name in ended):
                group[initial] = group[name] = value
            elif name in OTHERS and not _equal(group.get(name), value):
                group[name] = value
        if group.get("fused") and not values.get("fused"):  # a fused step would hide unscaled gradients from clipping
            group["fused"] = values.get("fused")


def _equal(one: object, other: object) -> bool:
    one, other = (tuple(each) if isinstance(each, list | tuple) else each for each in (one, other))
    return one == other
