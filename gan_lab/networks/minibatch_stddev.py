"""Minibatch standard deviation (Karras et al. 2018, section 3): shows a discriminator the variety within a batch."""

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt


class MinibatchStddev(nn.Module):
    """Appends the mean standard deviation within each sample's group: features (N, F, …) → (N, F + 1, …).

    The samples of a group are N / group apart, on one device. A batch that cannot be divided into groups is one group.

    Args:
        group: samples in a group.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, features: Tensor) -> Tensor:
        n = len(features)
        groups = features.float().unflatten(0, (self.group if n % self.group == 0 else n, -1))
        stddev = ((groups - groups.mean(0)).square().mean(0) + 1e-8).sqrt().flatten(1).mean(1)
        column = stddev.repeat(len(groups)).to(features).view(n, *(1,) * (features.ndim - 1))
        return torch.cat([features, column.expand(-1, -1, *features.shape[2:])], 1)


def minibatch_stddev(network: nn.Module, group: PositiveInt = 4) -> nn.Module:
    """Puts a ``MinibatchStddev`` before the network's last layer, ``out``, which gets one more input.

    Args:
        network: a discriminator, which is changed and returned.
        group: samples in a group.

    Raises:
        TypeError: if ``out`` is neither a convolution nor a linear layer, or the network has such a layer already.
    """
    out = network.out
    if any(isinstance(layer, MinibatchStddev) for layer in network.modules()):
        raise TypeError("This discriminator has a minibatch standard deviation of its own: leave the remedy out.")
    if not isinstance(out, nn.Conv2d | nn.Linear):
        raise TypeError(
            f"The layer out of {type(network).__name__} is a {type(out).__name__}: it must be a Conv2d or Linear."
        )
    extra = torch.randn_like(out.weight[:, :1]) * out.weight.std()
    out.weight = nn.Parameter(torch.cat([out.weight, extra], 1).detach())
    if isinstance(out, nn.Conv2d):
        out.in_channels += 1
    else:
        out.in_features += 1
    network.out = nn.Sequential(MinibatchStddev(group), out)
    return network
