"""Small pieces that several families of networks share."""

from collections.abc import Callable
from functools import partial

from torch import nn

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "layer": partial(nn.GroupNorm, 1),
    "none": lambda _: nn.Identity(),
}


def make_norm(kind: str, channels: int) -> nn.Module:
    """A normalisation over ``channels`` maps: batch, instance, layer (over C, H and W) or none.

    Raises:
        ValueError: for another kind.
    """
    if kind not in NORMS:
        raise ValueError(f"There is no norm {kind!r}: choose one of {', '.join(NORMS)}.")
    return NORMS[kind](channels)


def init_normal(network: nn.Module, std: float = 0.02) -> None:
    """Weights of convolutions from N(0, std), of batch norms from N(1, std), biases 0 (Radford et al. 2016)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, std)
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm | nn.InstanceNorm2d) and layer.weight is not None:
            nn.init.normal_(layer.weight, 1.0, std)
        bias = getattr(layer, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)
