"""The residual generator of Johnson et al. 2016.

CycleGAN (Zhu et al. 2017), CUT (Park et al. 2020) and pix2pixHD (Wang et al. 2018) use it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt, Probability
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.networks.filters import doubled, halved
from gan_lab.networks.layers import Dropout, init_weights, make_norm, upsampling


class Generator(nn.Module):
    """Maps images (N, C, H, W) to images (N, C', H, W) in [-1, 1]; H and W are multiples of 4, in training at least 8.

    A 7×7 convolution, two downsamplings, residual blocks, two upsamplings, a 7×7 convolution. With 64 filters, 9
    blocks and three channels it has 11,378,179 parameters. With other ``halvings``, H and W are multiples of another
    power of two.

    Args:
        channels: C.
        out_channels: C'.
        filters: feature maps of the first layer, doubled at each downsampling.
        blocks: number of residual blocks; the papers use 9 from 256 px up and 6 below.
        norm: see ``make_norm``; the papers use plain_instance.
        dropout: dropout probability in each residual block.
        antialias: resample through blur filters (Zhang 2019) with convolutions of stride 1, as CUT does.
        init: "normal", N(0, 0.02²), or "xavier" with gain 0.02, CUT's.
        upsample: "transposed", the papers', or "resize"; see ``upsampling``.
        halvings: number of downsamplings and of upsamplings; pix2pixHD has 4.

    Attributes:
        multiple: H and W must be multiples of it.

    Raises:
        ValueError: for another norm, initialisation or upsampling, and for "resize" with ``antialias``.
    """

    def __init__(
        self,
        channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        blocks: Natural = 9,
        norm: str = "plain_instance",
        dropout: Probability = 0.0,
        antialias: bool = False,
        init: str = "normal",
        upsample: str = "transposed",
        halvings: PositiveInt = 2,
    ) -> None:
        super().__init__()
        self.multiple = 1 << halvings
        widths = [filters << level for level in range(halvings + 1)]
        if antialias and upsample == "resize":
            raise ValueError(
                "generator.antialias=true upsamples through blur filters, which leave no checkerboard either: leave "
                "upsample=resize out, or give generator.antialias=false."
            )
        bias = norm != "batch"

        def norm_relu(maps: int) -> list[nn.Module]:
            return [make_norm(norm, maps), nn.ReLU(inplace=True)]

        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(channels, filters, 7, bias=bias),
            *norm_relu(filters),
        ]
        for maps in widths[:-1]:
            stride = 1 if antialias else 2
            layers += [nn.Conv2d(maps, 2 * maps, 3, stride, 1, bias=bias), *norm_relu(2 * maps)]
            layers += [BlurDown(2 * maps)] if antialias else []
        layers += [ResidualBlock(widths[-1], norm, bias, dropout) for _ in range(blocks)]
        for maps in widths[:0:-1]:
            if antialias:
                layers += [BlurUp(maps), nn.Conv2d(maps, maps // 2, 3, 1, 1, bias=bias)]
            else:
                layers += upsampling(upsample, nn.ConvTranspose2d(maps, maps // 2, 3, 2, 1, 1, bias=bias))
            layers += norm_relu(maps // 2)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(filters, out_channels, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        init_weights(self, init)

    @staticmethod
    def check_data(data: Mapping[str, Any], halvings: int = 2, **_: object) -> None:
        """Checks that the images' sides can be halved as often, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        if any(side % (1 << halvings) for side in height_and_width(data["size"])):
            raise UserError(
                f"data.size={data['size']} is not valid for generator=resnet: give multiples of {1 << halvings}."
            )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)

    def features(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Returns the outputs of some layers; later layers are not run.

        Args:
            images: (N, C, H, W).
            indices: of the layers, ascending.

        Returns:
            maps (N, F, h, w) for each index.
        """
        outputs = []
        for index, layer in enumerate(self.layers[: indices[-1] + 1]):
            images = layer(images)
            if index in indices:
                outputs.append(images.clone() if _is_overwritten(self.layers, index) else images)
        return outputs

    def feature_channels(self, indices: Sequence[int], channels: int) -> list[int]:
        """Returns the number of feature maps of each output of ``features``, for images of C = ``channels``."""
        counts = []
        for index, layer in enumerate(self.layers[: indices[-1] + 1]):
            channels = getattr(layer, "out_channels", channels)
            counts += [channels] if index in indices else []
        return counts


def _is_overwritten(layers: nn.Sequential, index: int) -> bool:
    """Says whether the next layer that is not an identity changes this layer's output in place."""
    following = (layer for layer in layers[index + 1 :] if not isinstance(layer, nn.Identity))
    return getattr(next(following, None), "inplace", False)


class ResidualBlock(nn.Module):
    """Computes x + two 3×3 convolutions of x, padded by reflection: (N, maps, H, W) → (N, maps, H, W)."""

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
    """A fixed binomial filter for each feature map (Zhang 2019, Making Convolutional Networks Shift-Invariant)."""

    kernel: Tensor

    def __init__(self, maps: int, taps: Sequence[float], gain: float = 1.0) -> None:
        super().__init__()
        line = torch.tensor(taps) / sum(taps)
        kernel = gain * torch.outer(line, line)
        self.register_buffer("kernel", kernel.expand(maps, 1, -1, -1).clone(), persistent=False)


class BlurDown(Blur):
    """Halves maps (N, maps, H, W) to (N, maps, H / 2, W / 2): filter [1 2 1], every second pixel, reflected edges."""

    def __init__(self, maps: int) -> None:
        super().__init__(maps, (1, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return halved(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.kernel, padding=0)


class BlurUp(Blur):
    """Doubles maps (N, maps, H, W) to (N, maps, 2 H, 2 W): filter [1 3 3 1] between zeros, replicated edges."""

    def __init__(self, maps: int) -> None:
        super().__init__(maps, (1, 3, 3, 1), gain=4)

    def forward(self, x: Tensor) -> Tensor:
        return doubled(F.pad(x, (1, 1, 1, 1), mode="replicate"), self.kernel, padding=3)
