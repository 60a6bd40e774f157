"""Small pieces that several families of networks share."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "plain_instance": nn.InstanceNorm2d,
    "layer": partial(nn.GroupNorm, 1),
    "none": lambda _: nn.Identity(),
}


def make_norm(kind: str, channels: int) -> nn.Module:
    """A normalisation over ``channels`` maps: batch, instance, plain_instance (without affine), layer
    (over C, H and W) or none.

    Raises:
        ValueError: for another kind.
    """
    if kind not in NORMS:
        raise ValueError(f"There is no norm {kind!r}: choose one of {', '.join(NORMS)}.")
    return NORMS[kind](channels)


class Dropout(nn.Dropout):
    """Dropout that can be asked for the same mask again.

    Attributes:
        generator: where it is given, masks come from it (a CPU generator), on any device and in any memory layout
            alike, in training mode and without.
    """

    generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.generator is None:
            return super().forward(x)
        kept = torch.rand(x.shape, generator=self.generator) >= self.p
        return x * kept.to(x.device) / (1 - self.p)


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


def init_xavier(network: nn.Module, gain: float = 0.02) -> None:
    """Weights of convolutions and linear layers after Glorot and Bengio 2010 with a small gain, biases 0, as CUT's."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
