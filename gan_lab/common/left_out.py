"""Networks that only training uses, which exported models lack."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gan_lab.common.errors import UserError


class LeftOutError(UserError, AttributeError):
    """A network was asked for that a folder of weights does not have."""


class LeftOut(nn.Module):
    """Stands in a model for a network that its folder does not have, as only training uses it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, *inputs: object) -> Tensor:
        raise self._error()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            raise self._error() from error

    def _error(self) -> LeftOutError:
        return LeftOutError(f"This model came without its {self.name}: give the checkpoint of its training run.")


def leave_out(model: nn.Module, names: Sequence[str]) -> None:
    """Replaces networks that weights do not have by ones that say so when they are used."""
    for name in names:
        if name in dict(model.named_children()):
            setattr(model, name, LeftOut(name))


def left_out(model: nn.Module) -> list[str]:
    """Names of the networks that were left out of a model."""
    return [name for name, child in model.named_children() if isinstance(child, LeftOut)]
