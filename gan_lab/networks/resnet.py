"""The residual generator of Johnson et al. 2016 as CycleGAN (Zhu et al. 2017) and CUT (Park et al. 2020) use it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks.layers import Dropout, init_normal, init_xavier, make_norm


class Generator(nn.Module):
    """Pictures (N, C, H, W) → pictures (N, C', H, W) in [-1, 1]; H and W multiples of 4, in training at least 8.

    A 7×7 convolution, two halvings, residual blocks, two doublings, a 7×7 convolution. With 64 filters, 9 blocks and
    three channels it has 11,378,179 parameters.

    Args:
        channels: C, what comes in.
        out_channels: C', what goes out.
        filters: maps of the first layer, doubled at each halving.
        blocks: the papers' are 9 from 256 px up, 6 below.
        norm: see ``make_norm``; the papers' is instance without affine.
        dropout: share that each residual block drops in training.
        antialias: halve and double through blur filters (Zhang 2019) with convolutions of stride 1, as CUT does.
        init: "normal", N(0, 0.02), or "xavier" with gain 0.02, CUT's.
    """

    multiple = 4

    def __init__(
        self,
        channels: int = 3,
        out_channels: int = 3,
        filters: int = 64,
        blocks: int = 9,
        norm: str = "plain_instance",
        dropout: float = 0.0,
        antialias: bool = False,
        init: str = "normal",
    ) -> None:
        super().__init__()
        bias = norm != "batch"

        def normed(maps: int) -> list[nn.Module]:
            return [make_norm(norm, maps), nn.ReLU(inplace=True)]

        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(channels, filters, 7, bias=bias), *normed(filters)]
        for maps in (filters, 2 * filters):
            stride = 1 if antialias else 2
            layers += [nn.Conv2d(maps, 2 * maps, 3, stride, 1, bias=bias), *normed(2 * maps)]
            layers += [BlurDown(2 * maps)] if antialias else []
        layers += [ResidualBlock(4 * filters, norm, bias, dropout) for _ in range(blocks)]
        for maps in (4 * filters, 2 * filters):
            if antialias:
                layers += [BlurUp(maps), nn.Conv2d(maps, maps // 2, 3, 1, 1, bias=bias)]
            else:
                layers += [nn.ConvTranspose2d(maps, maps // 2, 3, 2, 1, output_padding=1, bias=bias)]
            layers += normed(maps // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(filters, out_channels, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        {"normal": init_normal, "xavier": init_xavier}[init](self)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)

    def features(self, images: Tensor, at: Sequence[int]) -> list[Tensor]:
        """What the layers numbered ``at`` (ascending) give, no further than the last of them."""
        found = []
        for number, layer in enumerate(self.layers[: at[-1] + 1]):
            images = layer(images)
            if number in at:
                found.append(images.clone() if _overwritten(self.layers, number) else images)
        return found

    def widths(self, at: Sequence[int], channels: int) -> list[int]:
        """The number of maps that ``features`` gives at each of the layers."""
        found = []
        for number, layer in enumerate(self.layers[: at[-1] + 1]):
            channels = getattr(layer, "out_channels", channels)
            found += [channels] if number in at else []
        return found


def _overwritten(layers: nn.Sequential, number: int) -> bool:
    """Whether the next layer that does anything works in place on what this one gives."""
    following = (layer for layer in layers[number + 1 :] if not isinstance(layer, nn.Identity))
    return getattr(next(following, None), "inplace", False)


class ResidualBlock(nn.Module):
    """x + two 3×3 convolutions of x, padded by reflection."""

    def __init__(self, maps: int, norm: str, bias: bool, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(maps, maps, 3, bias=bias),
            make_norm(norm, maps),
            nn.ReLU(inplace=True),
            *([Dropout(dropout)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(maps, maps, 3, bias=bias),
            make_norm(norm, maps),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Blur(nn.Module):
    """A fixed binomial filter over each map (Zhang 2019, Making Convolutional Networks Shift-Invariant Again)."""

    kernel: Tensor

    def __init__(self, maps: int, taps: Sequence[float], gain: float = 1.0) -> None:
        super().__init__()
        line = torch.tensor(taps) / sum(taps)
        kernel = gain * torch.outer(line, line)
        self.register_buffer("kernel", kernel.expand(maps, 1, -1, -1).clone(), persistent=False)


class BlurDown(Blur):
    """Half the size: filter [1 2 1], every second pixel, edges reflected."""

    def __init__(self, maps: int) -> None:
        super().__init__(maps, (1, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.kernel, stride=2, groups=x.shape[1])


class BlurUp(Blur):
    """Twice the size: filter [1 3 3 1] over every second pixel, edges repeated."""

    def __init__(self, maps: int) -> None:
        super().__init__(maps, (1, 3, 3, 1), gain=4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(x, self.kernel, stride=2, padding=3, groups=x.shape[1])
