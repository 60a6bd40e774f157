"""The networks of StarGAN (Choi et al. 2018, appendix, tables 4 and 5)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.networks.layers import make_norm, upsampling


class Generator(nn.Module):
    """Maps images (N, C, H, W) and codes of domains (N, K) to images (N, C, H, W) in [-1, 1].

    The codes are further channels of the image, constant over it. Borders are zeros: instance normalisation would
    remove a channel that is constant up to the border. With its defaults, for K = 5, it has 8,430,528 parameters.

    Args:
        channels: C.
        codes: K.
        filters: feature maps of the first layer, doubled at both halvings.
        blocks: number of residual blocks.
        upsample: "transposed", the paper's, or "resize"; see ``gan_lab.networks.layers.upsampling``.

    Attributes:
        multiple: H and W must be multiples of it.
    """

    multiple = 4

    def __init__(
        self,
        channels: PositiveInt,
        codes: PositiveInt,
        filters: PositiveInt = 64,
        blocks: Natural = 6,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        widths = [filters, 2 * filters, 4 * filters]
        layers = [nn.Conv2d(channels + codes, filters, 7, 1, 3, bias=False), *_norm_relu(filters)]
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), *_norm_relu(b)]
        layers += [ResidualBlock(widths[-1]) for _ in range(blocks)]
        for a, b in pairwise(widths[::-1]):
            layers += [*upsampling(upsample, nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)), *_norm_relu(b)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(filters, channels, 7, 1, 3, bias=False), nn.Tanh())

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the images' sides are multiples of 4, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        if any(side % Generator.multiple for side in height_and_width(data["size"])):
            raise UserError(f"data.size={data['size']} is not valid for StarGAN: give multiples of 4.")

    def forward(self, images: Tensor, codes: Tensor) -> Tensor:
        planes = codes.to(images)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        return self.layers(torch.cat([images, planes], 1))


def _norm_relu(maps: int) -> list[nn.Module]:
    return [make_norm("instance", maps), nn.ReLU(inplace=True)]


class ResidualBlock(nn.Module):
    """Computes x + two 3×3 convolutions of x: (N, maps, H, W) → (N, maps, H, W)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(maps, maps, 3, 1, 1, bias=False) for _ in range(2))
        self.layers = nn.Sequential(first, *_norm_relu(maps), second, make_norm("instance", maps))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) to logits of patches (N, 1, h, w) and logits of domains (N, K).

    For 128 px and K = 5 it has 44,762,048 parameters.

    Args:
        channels, height, width: size of the images.
        codes: K.
        filters: feature maps of the first layer, doubled at each further one.
        layers: halvings.
    """

    def __init__(
        self,
        channels: PositiveInt,
        height: PositiveInt,
        width: PositiveInt,
        codes: PositiveInt,
        filters: PositiveInt = 64,
        layers: PositiveInt = 6,
    ) -> None:
        super().__init__()
        widths = [channels, *(filters << level for level in range(layers))]
        steps = [(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.01, True)) for a, b in pairwise(widths)]
        self.layers = nn.Sequential(*(layer for step in steps for layer in step))
        self.patches = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        self.whole = nn.Conv2d(widths[-1], codes, (height >> layers, width >> layers), bias=False)

    @staticmethod
    def check_data(data: Mapping[str, Any], layers: int = 6, **_: object) -> None:
        """Checks that the images can be halved by each layer, see ``ChecksData``.

        Raises:
            UserError: if they cannot.
        """
        if any(side % (1 << layers) for side in height_and_width(data["size"])):
            raise UserError(
                f"A discriminator with model.discriminator.layers={layers} halves sides that are multiples of "
                f"{1 << layers}, not data.size={data['size']}: give fewer layers, or another size."
            )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.layers(images)
        return self.patches(maps), self.whole(maps).flatten(1)
