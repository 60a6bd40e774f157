"""The time and the memory of the rest of a run, from a few iterations and the cost of its evaluations."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gan_lab.evaluation.evaluators.translations import TranslationEvaluator
from gan_lab.evaluation.metrics.translation import direction_counts
from gan_lab.training.callbacks.fidelity import Fidelity
from gan_lab.training.callbacks.samples import SampleGrid

HOUR, DAY = 3600.0, 86400.0
LONG = {"cuda": DAY}
"""Seconds above which a run is long, by device; elsewhere an hour."""
SMALLEST_SIDE = 32
"""Side in pixels below which no smaller images are proposed."""


@dataclass(frozen=True)
class Forecast:
    """The time and the memory that the rest of a run takes.

    Args:
        images_per_second: of training alone, over all ranks.
        memory_gib: the peak so far, in GiB.
        training: seconds of training.
        evaluations: seconds of grids and metrics, as far as they are known; None if they are not.
        later: names of phases that begin later, and are not counted.
    """

    images_per_second: float
    memory_gib: float
    training: float
    evaluations: float | None = 0.0
    later: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds to the end of the run, as far as they are known."""
        return self.training + (self.evaluations or 0.0)

    def sentence(self) -> str:
        """Says it in one line."""
        known = self.evaluations or 0.0
        parts = f", {duration(known)} of it for grids and metrics" if known >= 1 else ""
        parts = ", without grids and metrics" if self.evaluations is None else parts
        later = f", without the phase {' and '.join(self.later)}, which begins later" if self.later else ""
        speed = f"{self.images_per_second:,.{0 if self.images_per_second >= 10 else 2}f}"
        return (
            f"Estimate: {speed} images/s, {self.memory_gib:.1f} GiB at the peak, {duration(self.seconds)} to the end"
            f"{parts}{later}."
        )


def duration(seconds: float) -> str:
    """Returns a duration in words, such as 40 s, 12 min, 3.4 h or 192 h (8 days)."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    days = f" ({seconds / DAY:.0f} days)" if seconds >= 2 * DAY else ""
    return f"{seconds / HOUR:.{1 if seconds < DAY else 0}f} h{days}"


def training_seconds(speed: float, left: int | None, minutes_left: float | None) -> float:
    """Returns the seconds until the first limit of a budget is reached.

    Args:
        speed: images per second.
        left: images that are left of the budget; None if it does not limit them.
        minutes_left: minutes that are left; None if it does not limit them.
    """
    limits = [] if left is None else [max(0, left) / speed]
    limits += [] if minutes_left is None else [max(0.0, minutes_left) * 60]
    return min(limits, default=math.nan)


def evaluation_seconds(callbacks: Iterable[Any], model: Any, seen: int, left: int | None, within: bool) -> float:
    """Returns the seconds that grids and metrics will take; a few items are generated to measure it.

    Args:
        callbacks: of the run.
        model: the model.
        seen: images seen.
        left: images that training is still to see; None if it is not known.
        within: those during training are a part of its minutes, so only the last ones count.
    """
    found = list(callbacks)
    fidelity = next((each for each in found if isinstance(each, Fidelity)), None)
    if fidelity is None or not fidelity.evaluators:
        return 0.0
    seconds, generate = 0.0, 0.0
    for tier, evaluator in fidelity.evaluators.items():
        generate, extract = evaluator.seconds_per_item(model)
        during = 0 if within or left is None else times(fidelity.every.images, seen, left)
        made, real = _items(evaluator, model)
        seconds += (during if tier == "quick" else 1) * made * (generate + extract)
        seconds += extract * real if tier == "final" else 0.0
    grids = [each for each in found if isinstance(each, SampleGrid) and not within and left is not None]
    return seconds + sum(generate * each.options.n * times(each.every.images, seen, left or 0) for each in grids)


def times(every: int, seen: int, left: int) -> int:
    """Returns how often an interval in images comes due in those that are left."""
    return (seen + left) // every - seen // every if every > 0 else 0


def _items(evaluator: Any, model: Any) -> tuple[int, int]:
    """Returns the items that an evaluation generates, and the real ones that it reads; 0 if these are not known."""
    if isinstance(evaluator, TranslationEvaluator):  # at most the test images, in each direction
        counts = [*direction_counts(model, evaluator.data, evaluator.n).values()]
        return sum(each.translated for each in counts), sum(each.real for each in counts)
    count = getattr(evaluator.data, "count", None)
    known = count(evaluator.split) if callable(count) else 0
    return evaluator.most, min(known, evaluator.limit or known)


def advice(
    forecast: Forecast, device: str, size: tuple[int, int] | None, scale: str, widths: Mapping[str, object]
) -> str | None:
    """Says what would make a long run fit, with numbers; None for one that is short enough.

    Args:
        forecast: of the run.
        device: "cpu", "cuda" or another type.
        size: (H, W) of the images, if it can be given.
        scale: the run's scale.
        widths: of the networks, by key; the first that is one number is halved.
    """
    limit = LONG.get(device, HOUR)
    if not forecast.seconds > limit:
        return None
    found = ["scale=laptop takes half an hour"] if limit == HOUR and scale != "laptop" else []
    if smaller := _smaller(size, forecast.seconds, limit):
        side, seconds = smaller
        found.append(f"data.size={side} takes about {duration(seconds)}")
    halves = {key: width // 2 for key, width in widths.items() if isinstance(width, int) and width > 1}
    found += [f"{key}={half} makes a network narrower" for key, half in [*halves.items()][:1]]
    found.append(f"budget.minutes={limit / 60:.0f} ends training after {'a day' if limit == DAY else 'an hour'}")
    return f"This is long: {', '.join(found[:-1])}{', and ' * (len(found) > 1)}{found[-1]}."


def _smaller(size: tuple[int, int] | None, seconds: float, limit: float) -> tuple[int, float] | None:
    """Returns the largest half, quarter, … of a side that fits a limit, or the smallest, and its seconds."""
    side = min(size) if size else 0
    if side < 2 * SMALLEST_SIDE:
        return None
    while side >= 2 * SMALLEST_SIDE and seconds > limit:
        side, seconds = side // 2, seconds / 4  # the cost of convolutions is proportional to the pixels
    return side, seconds
