"""A metric of a user's own, whose values are partly no numbers."""

from gan_lab.evaluation.statistic_set import ImageCount
from gan_lab.evaluation.statistics import Comparison


class Odd(Comparison):
    """Figures that are no numbers beside one that is."""

    input = "images"

    def __init__(self):
        super().__init__(ImageCount(), ImageCount())

    def compare(self, real, fake):
        return {"odd": 1.5, "odd.error": float("nan"), "odder": float("inf")}
