"""Minibatch deviation (Karras et al. 2018, section 3): it shows a critic how alike the pictures of a batch are."""

from typing import Any

import torch
from torch import Tensor, nn


class Deviation(nn.Module):
    """Features (N, F, …) → (N, F + 1, …): the last is the mean standard deviation within the sample's group.

    Groups are of samples N / group apart, on one device; a batch that does not fall into them is one group.

    Args:
        group: samples in a group.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, features: Tensor) -> Tensor:
        n = len(features)
        groups = features.float().unflatten(0, (self.group if n % self.group == 0 else n, -1))
        spread = (groups.var(0, correction=0) + 1e-8).sqrt().flatten(1).mean(1)
        column = spread.repeat(len(groups)).to(features).view(n, *(1,) * (features.ndim - 1))
        return torch.cat([features, column.expand(-1, -1, *features.shape[2:])], 1)


def minibatch_deviation(network: nn.Module, group: int = 4) -> nn.Module:
    """Shows it to the network's last layer, ``out``, which gets one more input; returns the network."""
    out: Any = network.out
    more = torch.randn_like(out.weight[:, :1]) * out.weight.std()
    out.weight = nn.Parameter(torch.cat([out.weight, more], 1).detach())
    if isinstance(out, nn.Conv2d):
        out.in_channels += 1
    else:
        out.in_features += 1
    network.out = nn.Sequential(Deviation(group), out)
    return network
