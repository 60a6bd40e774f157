"""Random numbers for one image, and the contract of damage that uses them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_lab.common.bounds import NonNegative
from gan_lab.common.errors import UserError
from gan_lab.data.loading.keyed_random import keyed_uniform
from gan_lab.data.types import UInt8Array

Range = NonNegative | Sequence[NonNegative]
"""A number, or the least and the greatest of uniform random ones."""


class Draws:
    """Random numbers that depend on a key alone; each call gives new ones.

    Args:
        key: such as seed, epoch and row.
    """

    def __init__(self, *key: int) -> None:
        self.key, self.calls = key, 0

    def uniform(self, *shape: int) -> NDArray[np.float64]:
        """Returns numbers uniform in [0, 1), float64 of this shape."""
        self.calls += 1
        return keyed_uniform(np.arange(int(np.prod(shape))), *self.key, self.calls).reshape(shape)

    def normal(self, *shape: int) -> NDArray[np.float32]:
        """Returns standard normal numbers, float32 of this shape (Box and Muller 1958)."""
        half = -(-int(np.prod(shape)) // 2)
        radius = np.sqrt(-2 * np.log1p(-self.uniform(half)))
        angle = 2 * np.pi * self.uniform(half)
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        return both[: int(np.prod(shape))].reshape(shape).astype(np.float32)

    def within(self, bounds: Range) -> float:
        """Returns a number uniform between two bounds, or the number itself."""
        if isinstance(bounds, int | float):
            return float(bounds)
        low, high = bounds
        return float(low + (high - low) * self.uniform(1)[0])

    def integer(self, bounds: Range) -> int:
        """Returns an integer between two bounds, both included."""
        if isinstance(bounds, int | float):
            return int(bounds)
        low, high = bounds
        return int(low + np.floor((high - low + 1) * self.uniform(1)[0]))

    def chance(self, probability: float) -> bool:
        """Returns True with this probability."""
        return bool(self.uniform(1)[0] < probability)

    def choice(self, weights: Sequence[float]) -> int:
        """Returns an index, each with a probability in proportion to its weight."""
        sums = np.cumsum(weights)
        return int(np.searchsorted(sums, sums[-1] * self.uniform(1)[0], side="right"))


class Damaged(NamedTuple):
    """An image as a restorer gets it.

    Args:
        pixels: uint8 (C, h, w).
        known: uint8 (1, h, w), 1 at known pixels and 0 at those to be filled; None if all are known.
    """

    pixels: UInt8Array
    known: UInt8Array | None = None


class Damage(Protocol):
    """Damages clean images in a random way.

    Attributes:
        factor: sides of the clean image in sides of the damaged one.
        masks: whether it leaves pixels unknown.
    """

    factor: int
    masks: bool

    def __call__(self, pixels: UInt8Array, draws: Draws) -> Damaged:
        """Returns the damaged image, given clean pixels uint8 (C, H, W); H and W are multiples of ``factor``."""


def check_range(name: str, bounds: Range, low: float, high: float) -> None:
    """Checks that a number, or two bounds, lie within limits.

    Raises:
        UserError: if they do not.
    """
    numbers = [bounds] if isinstance(bounds, int | float) else list(bounds)
    ordered = len(numbers) == 1 or (len(numbers) == 2 and numbers[0] <= numbers[1])
    if not (ordered and all(low <= number <= high for number in numbers)):
        raise UserError(
            f"{name}={bounds} is not valid: give a number from {low:g} to {high:g}, or two such as [{low:g},{high:g}]."
        )


def check_choices(name: str, values: Sequence[str], choices: Iterable[str]) -> None:
    """Checks that at least one value is given, and that all are among the choices.

    Raises:
        UserError: if they are not.
    """
    choices = list(choices)
    if not values or any(each not in choices for each in values):
        raise UserError(f"{name}={list(values)} is not valid: choose from {', '.join(choices)}.")


def to_uint8(values: NDArray[np.floating]) -> UInt8Array:
    """Rounds values in 0 … 255, and clips others."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
