"""Ranges of numbers, which annotations state: ``every: PositiveInt``.

The command line and ``gan_lab.common.instantiate`` refuse a value out of its range; a call in Python is not checked.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Bounds:
    """The valid range of a number: ``low`` to ``high``, without ``low`` itself if ``above`` is set, and without
    ``high`` if ``below`` is set.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def contain(self, value: float) -> bool:
        """True if the value is in the range."""
        low = value > self.low if self.above else value >= self.low
        return low and (value < self.high if self.below else value <= self.high)

    @property
    def words(self) -> str:
        """The range in words, after "a number" or "an integer"."""
        if -math.inf < self.low and self.high < math.inf and not (self.above or self.below):
            return f" from {self.low} to {self.high}"
        words = [f"{'above' if self.above else 'of at least'} {self.low}"] if self.low > -math.inf else []
        words += [f"{'below' if self.below else 'at most'} {self.high}"] if self.high < math.inf else []
        return f" {' and '.join(words)}" if words else ""


def range_words(marks: Iterable[object]) -> str:
    """The ranges among the marks of an annotation, in words."""
    return "".join(each.words for each in marks if isinstance(each, Bounds))


Natural = Annotated[int, Bounds(0)]
PositiveInt = Annotated[int, Bounds(1)]
Seed = Annotated[int, Bounds(0, 2**32 - 1)]
"""A seed that every library accepts: numpy takes 32 bits."""
NonNegative = Annotated[float, Bounds(0)]
PositiveFloat = Annotated[float, Bounds(0, above=True)]
Probability = Annotated[float, Bounds(0, 1)]
Share = Annotated[float, Bounds(0, 1, above=True)]
"""A part of a whole that is not empty."""
Decay = Annotated[float, Bounds(0, 1, below=True)]
"""The weight of the past in a moving average."""
Signed = Annotated[float, Bounds()]
"""A number of either sign."""
