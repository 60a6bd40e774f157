"""Generators that cannot translate, for runs made to fail."""

import torch
from torch import Tensor, nn


class Failing(nn.Module):
    """Returns its input as a negative, without its colours, or another picture.

    Args:
        how: "negative", "grey" or "unrelated".
    """

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.factor = how, nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "negative":
            return -self.factor * x
        if self.how == "grey":
            return self.factor * x.mean(1, keepdim=True).expand_as(x)
        return self.factor * torch.rand(x.shape, generator=torch.Generator().manual_seed(len(x))) * 2 - 1
