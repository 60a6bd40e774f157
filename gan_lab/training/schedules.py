"""Factors of a quantity, such as a learning rate, as functions of the share of the budget that is used."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch.optim import Optimizer

from gan_lab.common.errors import UserError

Schedule = Callable[[float], float]


class Constant:
    """1 throughout."""

    def __call__(self, progress: float) -> float:
        return 1.0


class Linear:
    """1 until ``begin``, then a straight line to ``end`` at the budget's end (CycleGAN: begin 0.5, end 0)."""

    def __init__(self, begin: float = 0.5, end: float = 0.0) -> None:
        self.begin, self.end = begin, end

    def __call__(self, progress: float) -> float:
        done = min(max((progress - self.begin) / max(1 - self.begin, 1e-12), 0.0), 1.0)
        return 1 + (self.end - 1) * done


class Cosine:
    """Half a cosine from ``start`` to ``end`` (Loshchilov and Hutter 2017), which stays from the share ``until`` on.

    R3GAN's burn-in (Huang et al. 2024, appendix D) is one until a tenth of the budget.
    """

    def __init__(self, end: float = 0.0, start: float = 1.0, until: float = 1.0) -> None:
        self.end, self.start, self.until = end, start, until

    def __call__(self, progress: float) -> float:
        done = min(max(progress / self.until, 0.0), 1.0) if self.until > 0 else 1.0
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * done)) / 2


class Scheduled:
    """Quantities that follow schedules, each times a factor of what it began with.

    Args:
        schedules: by name: ``generator.lr`` and ``generator.beta2`` are of that phase's optimizer, all others
            attributes of the module by their dotted path, such as ``ema.half_life``.
    """

    def __init__(self, schedules: Mapping[str, Schedule | None]) -> None:
        self.schedules = {name: schedule for name, schedule in schedules.items() if schedule is not None}
        self.initial: dict[str, float] = {}

    def move(self, module: Any, optimizers: Mapping[str, Optimizer], progress: float) -> None:
        """Sets every quantity to what it is at that share of the budget.

        Raises:
            UserError: for one that does not exist.
        """
        for name, schedule in self.schedules.items():
            owner, _, quantity = name.rpartition(".")
            if owner in optimizers:
                _step(optimizers[owner], quantity, schedule(progress))
            else:
                target = _found(module, owner, name)
                initial = self.initial.setdefault(name, getattr(target, quantity))
                setattr(target, quantity, initial * schedule(progress))


def remember(optimizer: Optimizer) -> None:
    """Notes what the optimizer's quantities begin with, where a resume finds it again."""
    for group in optimizer.param_groups:
        for quantity in ("lr", "betas"):
            if quantity in group:
                group.setdefault(f"initial_{quantity}", group[quantity])


def _step(optimizer: Any, quantity: str, factor: float) -> None:
    for group in optimizer.param_groups:
        if quantity == "lr":
            group["lr"] = group["initial_lr"] * factor
        elif quantity == "beta2" and "betas" in group:
            beta2 = group["initial_betas"][1] * factor
            if not 0 <= beta2 < 1:
                raise UserError(f"A schedule leads to Adam's beta2={beta2:.4g}: give factors that keep it below 1.")
            group["betas"] = (group["betas"][0], beta2)
        else:
            raise UserError(f"An optimizer's {quantity} cannot follow a schedule: lr can, and Adam's beta2.")


def _found(module: Any, path: str, name: str) -> Any:
    for part in filter(None, path.split(".")):
        module = module.get(part) if isinstance(module, Mapping) else getattr(module, part, None)
    if not hasattr(module, name.rpartition(".")[2]):
        raise UserError(f"model.schedules names {name}, which this model does not have: leave it away.")
    return module
