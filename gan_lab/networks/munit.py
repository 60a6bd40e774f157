"""The networks of MUNIT (Huang et al. 2018, section 5.1 and appendix B): content and style apart."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.networks.instance_norm import styled_instance_norm
from gan_lab.networks.layers import init_he, init_normal, make_norm
from gan_lab.networks.resnet import ResidualBlock

STYLE_HALVINGS = 4


class Autoencoder(nn.Module):
    """Encodes images (N, C, H, W) of a domain as content (N, F, H / 4, W / 4) and styles (N, S), and decodes them.

    With its defaults it has 15,026,187 parameters.

    Args:
        channels: C.
        filters: feature maps of the first layer, doubled at both halvings; F is four times as many.
        blocks: residual blocks of the content's encoder, and of the decoder.
        style: S.
        width: units of the network from styles to the decoder's normalisation.

    Attributes:
        multiple: H and W must be multiples of it.
    """

    multiple = 4

    def __init__(
        self,
        channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        blocks: Natural = 4,
        style: PositiveInt = 8,
        width: PositiveInt = 256,
    ) -> None:
        super().__init__()
        self.style = style
        widths = [filters, 2 * filters, 4 * filters]
        content = [*_layer(channels, filters, 7, "plain_instance")]
        content += [layer for a, b in pairwise(widths) for layer in _layer(a, b, 4, "plain_instance", 2)]
        content += [ResidualBlock(widths[-1], "plain_instance", True, 0.0) for _ in range(blocks)]
        self.content = nn.Sequential(*content)
        widths += [widths[-1]] * (STYLE_HALVINGS - 2)
        styles = [*_layer(channels, filters, 7, "none")]
        styles += [layer for a, b in pairwise(widths) for layer in _layer(a, b, 4, "none", 2)]
        self.styles = nn.Sequential(*styles, nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], style, 1), nn.Flatten())
        self.decoder = Decoder(channels, filters, blocks, style, width)
        init_he(self)

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks that the images' sides are multiples of 4, and at least 16, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        sides = height_and_width(data["size"])
        if any(side % Autoencoder.multiple for side in sides) or min(sides) < 1 << STYLE_HALVINGS:
            raise UserError(f"data.size={data['size']} is not valid for MUNIT: give multiples of 4, of at least 16.")

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns content (N, F, H / 4, W / 4) and styles (N, S) of images (N, C, H, W)."""
        return self.content(images), self.styles(images)

    def decode(self, content: Tensor, styles: Tensor) -> Tensor:
        """Returns images (N, C, H, W) in [-1, 1], given content and styles (N, S)."""
        images: Tensor = self.decoder(content, styles)
        return images


class Decoder(nn.Module):
    """Maps content (N, F, h, w) and styles (N, S) to images (N, C, 4 h, 4 w) in [-1, 1]; see ``Autoencoder``."""

    def __init__(
        self, channels: PositiveInt, filters: PositiveInt, blocks: Natural, style: PositiveInt, width: PositiveInt
    ) -> None:
        super().__init__()
        maps = 4 * filters
        sizes = [style, width, width, 4 * maps * blocks]
        self.affine = nn.Sequential(
            *(layer for a, b in pairwise(sizes[:-1]) for layer in (nn.Linear(a, b), nn.ReLU(True))),
            nn.Linear(width, sizes[-1]),
        )
        self.blocks = nn.ModuleList(StyledBlock(maps) for _ in range(blocks))
        steps = pairwise([maps, maps // 2, filters])
        doublings = [layer for a, b in steps for layer in (nn.Upsample(scale_factor=2), *_layer(a, b, 5, "layer"))]
        last = [nn.ReflectionPad2d(3), nn.Conv2d(filters, channels, 7), nn.Tanh()]
        self.last = nn.Sequential(*doublings, *last)
        for norm in (layer for layer in doublings if isinstance(layer, nn.GroupNorm)):
            nn.init.uniform_(norm.weight)

    def forward(self, content: Tensor, styles: Tensor) -> Tensor:
        x = content
        for block, values in zip(self.blocks, self.affine(styles).chunk(len(self.blocks), 1), strict=True):
            x = block(x, *values.chunk(4, 1))
        return self.last(x)


class StyledBlock(nn.Module):
    """Computes x + two 3×3 convolutions of x, with adaptive instance normalisation."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(maps, maps, 3, padding=1, padding_mode="reflect") for _ in range(2))

    def forward(self, x: Tensor, shift1: Tensor, scale1: Tensor, shift2: Tensor, scale2: Tensor) -> Tensor:
        y = F.relu(styled_instance_norm(self.conv1(x), scale1, shift1), inplace=True)
        return x + styled_instance_norm(self.conv2(y), scale2, shift2)


def _layer(maps: int, out_maps: int, kernel: int, norm: str, stride: int = 1) -> list[nn.Module]:
    """Returns a convolution padded by reflection, its norm, and a ReLU."""
    pad = nn.ReflectionPad2d((kernel - 1) // 2)
    return [pad, nn.Conv2d(maps, out_maps, kernel, stride), make_norm(norm, out_maps), nn.ReLU(inplace=True)]


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) to logits (N, P) of patches: of the image, of its half, and of its quarter.

    With its defaults it has 8,271,171 parameters.

    Args:
        channels: C.
        filters: feature maps of the first layer, doubled at each further one.
        layers: halvings of each part.
        scales: number of parts.
    """

    def __init__(
        self,
        channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        layers: PositiveInt = 4,
        scales: PositiveInt = 3,
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(_patches(channels, filters, layers) for _ in range(scales))
        init_normal(self)

    @staticmethod
    def check_data(data: Mapping[str, Any], layers: int = 4, scales: int = 3, **_: object) -> None:
        """Checks that the images are large enough for the layers, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        least = 1 << (layers + scales - 1)
        if min(height_and_width(data["size"])) < least:
            raise UserError(
                f"discriminator.layers={layers} at {scales} scales need images of at least {least} px, not "
                f"data.size={data['size']}: give fewer layers, or a larger size."
            )

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.logits(images, scale).flatten(1) for scale in range(len(self.scales))], 1)

    def logits(self, images: Tensor, scale: int) -> Tensor:
        """Returns the logits (N, 1, h, w) of one part, given images (N, C, H, W)."""
        for _ in range(scale):
            images = F.avg_pool2d(images, 3, 2, 1, count_include_pad=False)
        logits: Tensor = self.scales[scale](images)
        return logits


def _patches(channels: int, filters: int, layers: int) -> nn.Sequential:
    widths = [channels, *(filters << level for level in range(layers))]
    steps = [(nn.ReflectionPad2d(1), nn.Conv2d(a, b, 4, 2), nn.LeakyReLU(0.2, True)) for a, b in pairwise(widths)]
    return nn.Sequential(*(layer for step in steps for layer in step), nn.Conv2d(widths[-1], 1, 1))
