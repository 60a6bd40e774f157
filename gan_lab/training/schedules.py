"""Schedules: factors of a quantity, such as a learning rate, as functions of the share of the budget that is used."""

import math
from collections.abc import Callable, Mapping

from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn
from torch.optim import Optimizer

from gan_lab.common.bounds import NonNegative, PositiveInt, Probability
from gan_lab.common.errors import UserError
from gan_lab.training.optimizers import Hyperparameters, hyperparameters, set_hyperparameters

Schedule = Callable[[float], float]


class Constant:
    """1 throughout."""

    def __call__(self, progress: float) -> float:
        return 1.0


class Linear:
    """1 until ``begin``, then linear decay to ``end`` at the end of the budget (CycleGAN: begin 0.5, end 0)."""

    def __init__(self, begin: Probability = 0.5, end: NonNegative = 0.0) -> None:
        self.begin, self.end = begin, end

    def __call__(self, progress: float) -> float:
        done = min(max((progress - self.begin) / max(1 - self.begin, 1e-12), 0.0), 1.0)
        return 1 + (self.end - 1) * done


class Cosine:
    """Cosine decay from ``start`` to ``end`` over the first ``until`` of the budget, then constant.

    The shape is Loshchilov and Hutter's (2017); R3GAN's burn-in (Huang et al. 2024, appendix D) has until 0.1.
    """

    def __init__(self, end: NonNegative = 0.0, start: NonNegative = 1.0, until: Probability = 1.0) -> None:
        self.end, self.start, self.until = end, start, until

    def __call__(self, progress: float) -> float:
        done = min(max(progress / self.until, 0.0), 1.0) if self.until > 0 else 1.0
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * done)) / 2


class Steps:
    """Multiplied by ``factor`` after each of the equal parts of the budget (MUNIT: ten parts, 0.5)."""

    def __init__(self, factor: NonNegative = 0.5, steps: PositiveInt = 10) -> None:
        self.factor, self.steps = factor, steps

    def __call__(self, progress: float) -> float:
        return self.factor ** math.floor(progress * self.steps)


class Scheduled:
    """Quantities that follow schedules; each is its initial value times the schedule's factor.

    Args:
        schedules: by the name of the quantity. ``generator.lr`` and ``generator.beta2`` belong to the optimizer of that
            phase; any other name is the dotted path of an attribute of the module, such as ``ema.half_life``.
    """

    def __init__(self, schedules: Mapping[str, Schedule]) -> None:
        self.schedules = dict(schedules)
        self.initial: dict[str, float] = {}
        self.made_with: dict[str, Hyperparameters] = {}
        self.ended: set[str] = set()

    def remember(self, phase: str, optimizer: Optimizer) -> Optimizer:
        """Remembers what the new optimizer of a phase was made with; returns it."""
        self.made_with[phase] = hyperparameters(optimizer)
        return remember_initial(optimizer)

    def resume(self, optimizers: Mapping[str, LightningOptimizer]) -> None:
        """Gives optimizers, by phase, what they were made with, where restoring their state has changed it.

        What a schedule has changed stays, unless the initial value is another one, or the schedule is no longer there.
        """
        for phase, made_with in self.made_with.items():
            ended = {f"{phase}.lr": "lr", f"{phase}.beta2": "betas"}
            set_hyperparameters(
                optimizers[phase].optimizer, made_with, [ended[name] for name in ended.keys() & self.ended]
            )

    def state_dict(self) -> dict[str, list[str]]:
        return {"names": sorted(self.schedules)}

    def load_state_dict(self, state: Mapping[str, list[str]]) -> None:
        self.ended = set(state.get("names", ())) - {*self.schedules}

    def apply(self, module: nn.Module, optimizers: Mapping[str, LightningOptimizer], progress: float) -> None:
        """Sets every quantity to its value at a share of the budget.

        A quantity of a part that is switched off (``augment.noise.std`` without that augmentation) is skipped.

        Raises:
            UserError: for a quantity that does not exist.
        """
        for name, schedule in list(self.schedules.items()):
            owner, _, quantity = name.rpartition(".")
            if owner in optimizers:
                _scale(optimizers[owner].optimizer, quantity, schedule(progress))
                continue
            target = _resolve(module, owner, name)
            if target is None:
                rank_zero_info(f"The schedule of {name} is skipped: that part is switched off.")
                del self.schedules[name]
                continue
            initial = self.initial.setdefault(name, getattr(target, quantity))
            setattr(target, quantity, initial * schedule(progress))


def remember_initial(optimizer: Optimizer) -> Optimizer:
    """Stores the initial learning rate and betas in the optimizer's state, where a resume finds them; returns it."""
    for group in optimizer.param_groups:
        for quantity in ("lr", "betas"):
            if quantity in group:
                group.setdefault(f"initial_{quantity}", group[quantity])
    return optimizer


def _scale(optimizer: Optimizer, quantity: str, factor: float) -> None:
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


def _resolve(module: nn.Module, path: str, name: str) -> object | None:
    """Returns the object at a dotted path; None if a mapping on the way lacks the entry."""
    target: object = module
    for part in filter(None, path.split(".")):
        if isinstance(target, Mapping):
            if part not in target:
                return None
            target = target[part]
        else:
            target = getattr(target, part, None)
    if not hasattr(target, name.rpartition(".")[2]):
        raise UserError(f"model.engine.schedules names {name}, which this model does not have: leave it out.")
    return target
