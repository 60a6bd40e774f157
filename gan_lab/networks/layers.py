"""Small pieces that several families of networks share."""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
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


def halvings(height: int, width: int) -> int:
    """How often a picture of (height, width) halves until its shorter side is 4 px.

    Raises:
        ValueError: if the shorter side is no power of two from 8 up, or the longer one does not halve as often.
    """
    short = min(height, width)
    times = int(math.log2(short / 4)) if short >= 8 else 0
    if times < 1 or short != 4 << times or max(height, width) % (1 << times):
        near = 4 << max(1, round(math.log2(max(short, 8) / 4)))
        way = f"data.size={near} works" if short > 1 else "network=mlp takes points"
        raise ValueError(f"This network takes pictures whose sides halve down to 4 px, not {height}×{width}: {way}.")
    return times


def beside(x: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """Latents (N, Z) or maps (N, C, H, W) with the classes' indicators beside them (Mirza and Osindero 2014).

    Without classes, as they are.
    """
    if not classes or labels is None:
        return x
    indicators = F.one_hot(labels, classes).to(x)
    return torch.cat([x, indicators.view(*indicators.shape, *(1,) * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])], 1)


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
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, std)
        elif (
            isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d | nn.GroupNorm | nn.InstanceNorm2d)
            and layer.weight is not None
        ):
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
