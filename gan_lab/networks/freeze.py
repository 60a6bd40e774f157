"""Freezing the first layers of a discriminator (Mo, Cho and Shin 2020, FreezeD)."""

from typing import Protocol, runtime_checkable

from torch import nn

from gan_lab.common.bounds import PositiveInt

NORMS = nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.modules.instancenorm._InstanceNorm
CONTAINERS = nn.Sequential | nn.ModuleList | nn.ModuleDict


@runtime_checkable
class OrdersStages(Protocol):
    """A network that does not list its layers in the order of a pass."""

    def stages(self) -> list[list[nn.Module]]:
        """Returns the stages, near the image first."""


def freeze(network: nn.Module, stages: PositiveInt = 4) -> nn.Module:
    """Keeps the parameters of the first stages of a network as they are.

    A stage is a layer or block with parameters, and the norm after it, in the order in which the network lists them:
    near the image first, in a discriminator. A network with another order has a method ``stages`` that returns them.

    Args:
        network: a network, which is changed and returned.
        stages: number of stages.

    Raises:
        ValueError: if nothing would be left to learn.
    """
    every = stages_of(network)
    if stages >= len(every):
        raise ValueError(
            f"stages={stages} leaves nothing to learn: this network has {len(every)} stages, give at most "
            f"{len(every) - 1}."
        )
    for part in (part for stage in every[:stages] for part in stage):
        part.requires_grad_(False)
    return network


def stages_of(network: nn.Module) -> list[list[nn.Module]]:
    """Returns the layers and blocks of a network that have parameters, each with the norm after it."""
    if isinstance(network, OrdersStages):
        return network.stages()
    stages: list[list[nn.Module]] = []
    for part in _parts(network):
        if stages and isinstance(part, NORMS):
            stages[-1].append(part)
        else:
            stages.append([part])
    return stages


def _parts(network: nn.Module) -> list[nn.Module]:
    found = []
    for child in network.children():
        found += _parts(child) if isinstance(child, CONTAINERS) else [child]
    return [part for part in found if any(True for _ in part.parameters())]
