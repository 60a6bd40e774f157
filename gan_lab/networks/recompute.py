"""Activation checkpointing (Chen et al. 2016): the backward pass computes again what blocks computed."""

from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized
from torch.utils.checkpoint import checkpoint

LISTS = nn.Sequential | nn.ModuleList | nn.ModuleDict


def recompute(network: nn.Module) -> nn.Module:
    """Computes the blocks of a network again in the backward pass: about a third more work, and less memory.

    Blocks are the members of the network's lists of modules that have parameters.

    Args:
        network: a network, which is changed and returned.

    Raises:
        ValueError: for a network with layers that change in each pass, batch norms and spectral norms, and for one
            without lists.
    """
    if any(isinstance(layer, _BatchNorm) or is_parametrized(layer) for layer in network.modules()):
        raise ValueError(
            "Batch norms and spectral norms change in each pass, so nothing can be computed again: leave "
            "remedy=recompute out, or choose model=stylegan2 or r3gan."
        )
    blocks = [block for block in _members(network) if any(True for _ in block.parameters())]
    if not blocks:
        raise ValueError("This network has no blocks that could be computed again: leave remedy=recompute out.")
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
    return network


def _members(network: nn.Module) -> list[nn.Module]:
    """Returns the members of lists of modules, those of a member's own lists not."""
    if isinstance(network, LISTS):
        return list(network.children())
    return [member for child in network.children() for member in _members(child)]
