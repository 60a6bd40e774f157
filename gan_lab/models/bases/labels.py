"""Labels of conditional models: an object that a model holds."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.common.types import Batch

Label = int | Tensor | None
"""One class for all samples, an int64 class for each (n,), or None."""


@dataclass(frozen=True)
class Labels:
    """The classes of a conditional model, and the extra inputs of its networks.

    Args:
        classes: K; 0 for an unconditional model.
    """

    classes: int = 0

    def condition(self, batch: Batch) -> tuple[Tensor, ...]:
        """Returns the extra network inputs: ``(labels,)``, int64 (N,), for a conditional model, else ``()``."""
        return (batch["label"],) if self.classes else ()

    def expand(self, label: Label, n: int, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """Returns the extra network inputs of n samples, like ``condition``; class 0 if the label is None.

        Raises:
            UserError: for a label that the model does not know.
        """
        if label is None and not self.classes:
            return ()
        return (self.check(0 if label is None else label, n, device),)

    def cyclic(self, label: Label, n: int, start: int) -> Label:
        """Returns the label of samples start … start + n - 1; if it is None, sample i of a conditional model has class
        i mod K.
        """
        return torch.arange(start, start + n) % self.classes if label is None and self.classes else label

    def of_samples(self, label: Label, n: int, start: int, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """Returns the extra network inputs of samples start … start + n - 1, by ``cyclic`` and ``expand``.

        Raises:
            UserError: for a label that the model does not know.
        """
        return self.expand(self.cyclic(label, n, start), n, device)

    def check(self, label: int | Tensor, n: int, device: torch.device | str = "cpu") -> Tensor:
        """Returns the labels (n,) of n samples, given a class or int64 classes (n,).

        Raises:
            UserError: for a label that the model does not know.
        """
        if not self.classes:
            raise UserError("This model was trained without labels: leave label= out.")
        integer = isinstance(label, Tensor) and label.dtype == torch.int64 and label.shape in ((), (n,))
        if not integer and type(label) is not int:
            raise UserError(f"label={label} is not valid: give an integer in [0, {self.classes}).")
        labels = torch.as_tensor(label, device=device).expand(n)
        if torch.compiler.is_exporting():  # a graph cannot refuse values
            return labels
        if n and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise UserError(f"label={label} is not valid: the model knows the classes 0 to {self.classes - 1}.")
        return labels
