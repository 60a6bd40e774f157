"""Small pieces that several families of networks share."""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks.instance_norm import InstanceNorm2d

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "instance": partial(InstanceNorm2d, affine=True),
    "plain_instance": InstanceNorm2d,
    "layer": partial(nn.GroupNorm, 1),
    "none": lambda _: nn.Identity(),
}


def make_norm(kind: str, channels: int) -> nn.Module:
    """Returns a normalisation layer over ``channels`` feature maps.

    Args:
        kind: batch, instance, plain_instance (without affine parameters), layer (over C, H and W) or none.
        channels: C.

    Raises:
        ValueError: for another kind.
    """
    if kind not in NORMS:
        raise ValueError(f"norm={kind} is not valid: choose one of {', '.join(NORMS)}.")
    return NORMS[kind](channels)


UPSAMPLE = ("transposed", "resize")
"""Ways to double the sides of feature maps; see ``upsampling``."""


def upsampling(kind: str, transposed: nn.ConvTranspose2d, size: tuple[int, int] | None = None) -> list[nn.Module]:
    """Returns the layers that double the sides of feature maps: (N, C, H, W) → (N, C', 2H, 2W).

    A transposed convolution adds up different weights at even and at odd pixels, which shows as a checkerboard until it
    has learned not to. Resizing by nearest neighbour before a 3×3 convolution treats all pixels alike (Odena et al.
    2016, Deconvolution and Checkerboard Artifacts).

    Args:
        kind: "transposed" for that convolution itself, "resize" for resizing and a 3×3 convolution of the same widths.
        transposed: the convolution; one of stride 1 resizes nothing, and is kept.
        size: (H', W') of the result if it is not exactly twice as large.

    Raises:
        ValueError: for another kind.
    """
    if kind not in UPSAMPLE:
        raise ValueError(f"upsample={kind} is not valid: choose one of {', '.join(UPSAMPLE)}.")
    if kind == "transposed" or transposed.stride == (1, 1):
        return [transposed]
    widths = transposed.in_channels, transposed.out_channels
    resize = nn.Upsample(scale_factor=2) if size is None else nn.Upsample(size)
    return [resize, nn.Conv2d(*widths, 3, 1, 1, bias=transposed.bias is not None)]


SMALLEST = range(4, 8)
"""Shorter sides in pixels, one of which a network's smallest maps have: each size halves down to one at most."""


def num_downsamplings(height: int, width: int) -> int:
    """Returns the number of halvings after which the shorter side of an image has 4 to 7 px.

    It is 4 px for powers of two, 6 px for 48 and 96 px (SNGAN's networks for STL-10), and 7 px for 28 px.

    Raises:
        ValueError: if the shorter side is below 8 px, or one of the sides cannot be halved as often.
    """
    short = min(height, width)
    times = max(0, int(math.log2(short / SMALLEST.start))) if short else 0
    if times < 1 or height % (1 << times) or width % (1 << times):
        sizes = [start << halvings for halvings in range(1, 14) for start in SMALLEST]
        near = min(sizes, key=lambda size: abs(size - short))
        way = f"data.size={near} works" if short > 1 else "network=mlp takes points"
        raise ValueError(f"This network takes images whose sides halve down to 4 to 7 px, not {height}×{width}: {way}.")
    return times


def maps_per_size(height: int, width: int, base: int, most: int) -> list[tuple[tuple[int, int], int]]:
    """Returns height, width and number of feature maps at each size, from the smallest."""
    times = num_downsamplings(height, width)
    sizes = [(height >> level, width >> level) for level in range(times, -1, -1)]
    return [(size, max(1, min(most, base // min(size)))) for size in sizes]


def concat_labels(x: Tensor, labels: Tensor | None, classes: int) -> Tensor:
    """Concatenates one-hot labels to latents or feature maps along the channels (Mirza and Osindero 2014).

    Args:
        x: latents (N, Z) or maps (N, C, H, W).
        labels: class ids (N,), int64.
        classes: K.

    Returns:
        (N, Z + K) or (N, C + K, H, W); ``x`` itself without classes or labels.
    """
    if not classes or labels is None:
        return x
    one_hot = F.one_hot(labels, classes).to(x)
    return torch.cat([x, one_hot.view(*one_hot.shape, *(1,) * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])], 1)


class Dropout(nn.Dropout):
    """Dropout of values of any shape, whose masks can be reproduced.

    Attributes:
        generator: a CPU generator that masks are drawn from, in training and in evaluation mode. They are then the
            same on every device and in every memory layout. With None this is ``nn.Dropout``.
    """

    generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.generator is None:
            return super().forward(x)
        kept = torch.rand(x.shape, generator=self.generator) >= self.p
        return x * kept.to(x.device) / (1 - self.p)


def init_zero(*layers: nn.Module) -> None:
    """Sets the weights and biases of layers to 0: what they add to, such as a residual's input, starts unchanged."""
    for parameter in (each for layer in layers for each in layer.parameters()):
        nn.init.zeros_(parameter)


def init_normal(network: nn.Module, std: float = 0.02) -> None:
    """Draws weights of convolutions from N(0, std²), of norms from N(1, std²); biases are 0 (Radford et al. 2016)."""
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
    """Draws weights of convolutions and linear layers after Glorot and Bengio 2010; biases are 0.

    CUT uses the small default gain.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def init_he(network: nn.Module) -> None:
    """Draws weights of convolutions and linear layers after He et al. 2015, by their inputs; biases are 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


INITS: dict[str, Callable[[nn.Module], None]] = {"normal": init_normal, "xavier": init_xavier}


def init_weights(network: nn.Module, kind: str) -> None:
    """Initialises a network's weights: "normal" is ``init_normal``, "xavier" is ``init_xavier``.

    Raises:
        ValueError: for another kind.
    """
    if kind not in INITS:
        raise ValueError(f"init={kind} is not valid: choose one of {', '.join(INITS)}.")
    INITS[kind](network)
