"""What is kept picture by picture: what figures over pairs need."""

import math

import torch
from torch import Tensor

from gan_lab.evaluation.statistics import Statistic, digest


class FeatureTable(Statistic):
    """The features of n numbered pictures that arrive in any order and on any rank.

    Args:
        dim: d, the dimension of the features.
        n: the number of pictures that will come, over all ranks.
    """

    rows: Tensor
    seen: Tensor

    def __init__(self, dim: int, n: int) -> None:
        super().__init__(dim, n)
        self.add_sum_state("rows", n, dim, dtype=torch.float32)
        self.add_sum_state("seen", n, dtype=torch.int64)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Features (m, d)."""
        self.rows.index_add_(0, index, values.to(self.rows))
        self.seen.index_add_(0, index, torch.ones_like(index))

    def compute(self) -> Tensor:
        """Float32 (n, d), over all ranks (a collective). Raises RuntimeError unless each came once."""
        if not (self.seen == 1).all():
            raise RuntimeError(
                f"Of {len(self.seen)} pictures {int((self.seen != 1).sum())} were not counted just once."
            )
        return self.rows


class ImageTable(Statistic):
    """Some of n numbered pictures, uint8, that arrive in any order and on any rank.

    Args:
        shape: (C, H, W).
        n: the number of pictures that will come, over all ranks.
        chosen: the numbers (m,) of those that are kept, each once; None keeps all.
    """

    pixels: Tensor

    def __init__(self, shape: tuple[int, int, int], n: int, chosen: Tensor | None = None) -> None:
        chosen = torch.arange(n) if chosen is None else chosen
        super().__init__(list(shape), n, digest(chosen))
        self.place = torch.full((n,), -1)
        self.place[chosen] = torch.arange(len(chosen))
        self.add_sum_state("pixels", len(chosen), *shape, dtype=torch.uint8)

    def add(self, values: Tensor, index: Tensor) -> None:
        """Pictures (m, C, H, W) uint8."""
        place = self.place.to(index.device)[index]
        self.pixels[place[place >= 0]] = values[place >= 0]

    def compute(self) -> Tensor:
        """uint8 (m, C, H, W), over all ranks (a collective), in the order in which they were chosen."""
        return self.pixels


def mean_and_error(values: Tensor) -> dict[str, float]:
    """Of figures of single pictures (n,) the mean, by "", and its standard error, by ".error"."""
    values = values.cpu().double()
    error = values.std().item() / len(values) ** 0.5 if len(values) > 1 else math.nan
    return {"": values.mean().item(), ".error": error}
