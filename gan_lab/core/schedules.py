"""Factors of the learning rate as functions of the share of the budget that is used."""

import math


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
    """Half a cosine from 1 to ``end`` (Loshchilov and Hutter 2017)."""

    def __init__(self, end: float = 0.0) -> None:
        self.end = end

    def __call__(self, progress: float) -> float:
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2
