"""Metrics of a user's own, in which a run ends in one way or another."""

import os
import shutil
import time

from gan_lab.evaluation.statistic_set import ImageCount
from gan_lab.evaluation.statistics import Comparison

signals: list[int] = []
"""Signals that the next computations of ``Signalled`` send to the process."""


copies: list[tuple] = []
"""Folders that the next computations of ``Copied`` copy, and where to."""

plan: list[float] = [float(value) for value in os.environ.get("GAN_LAB_TEST_PLAN", "").split(",") if value]
"""Values that the next computations of ``Planned`` have."""


class Raising(Comparison):
    input = "images"

    def __init__(self):
        super().__init__(ImageCount(), ImageCount())

    def compare(self, real, fake):
        raise ValueError("too few images\nfor this")


class Signalled(Raising):
    def compare(self, real, fake):
        if signals:
            os.kill(os.getpid(), signals.pop())
            time.sleep(60)
        return {"signalled": float(fake)}


class Copied(Raising):
    """Copies the run's folder at work: what a kill at this moment would leave."""

    def compare(self, real, fake):
        if copies:
            shutil.copytree(*copies.pop())
        return {"copied": float(fake)}


class Planned(Raising):
    def compare(self, real, fake):
        return {"planned": plan.pop(0)}
