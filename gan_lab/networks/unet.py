"""The U-Net of pix2pix (Isola et al. 2017), after Ronneberger et al. 2015."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt, Probability
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.networks.layers import Dropout, init_normal, make_norm, upsampling
from gan_lab.networks.small_maps import Conv2d, ConvTranspose2d


class Generator(nn.Module):
    """Maps images (N, C, H, W) to images (N, C', H, W) in [-1, 1], with a skip connection at every scale.

    H and W must be multiples of ``multiple``, 2 ** num_downsamplings, which leaves one pixel or few at the innermost
    scale. With 64 filters, 8 downsamplings (256 px) and three channels it has 54,413,955 parameters.

    Args:
        channels: C.
        out_channels: C'.
        filters: feature maps of the outermost scale, doubled at each downsampling up to eight times as many.
        num_downsamplings: at least 3.
        norm: see ``make_norm``; pix2pix uses batch, CycleGAN plain_instance.
        dropout: dropout probability in the decoder, at the scales next to the innermost.
        num_dropouts: number of scales with dropout. The paper has 3 for 8 downsamplings; the published code has
            ``num_downsamplings - 5`` for smaller U-Nets.
        upsample: "transposed", the paper's, or "resize"; see ``upsampling``.

    Raises:
        ValueError: for fewer than 3 downsamplings, and for another norm or upsampling.
    """

    def __init__(
        self,
        channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        num_downsamplings: Natural = 8,
        norm: str = "batch",
        dropout: Probability = 0.5,
        num_dropouts: Natural = 3,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        if num_downsamplings < 3:
            raise ValueError(
                f"num_downsamplings={num_downsamplings} is too few for a U-Net: give sides that are multiples of 8."
            )
        self.multiple = 1 << num_downsamplings
        levels = range(num_downsamplings)
        maps = [filters * min(1 << level, 8) for level in levels]
        bias = norm != "batch"
        self.down = nn.ModuleList(_down(level, channels, maps, norm, bias) for level in levels)
        dropouts = [dropout if 0 < num_downsamplings - 1 - level <= num_dropouts else 0.0 for level in levels]
        make = partial(_up, out_channels=out_channels, maps=maps, norm=norm, bias=bias, upsample=upsample)
        self.up = nn.ModuleList(make(level, dropout=dropouts[level]) for level in levels)
        init_normal(self)

    @staticmethod
    def check_data(data: Mapping[str, Any], num_downsamplings: int = 8, **_: object) -> None:
        """Checks that the images have one size, which halves ``num_downsamplings`` times, see ``ChecksData``.

        Raises:
            UserError: if they do not.
        """
        if data.get("preprocess") in ("scale_width", "scale_shortside", "none"):
            raise UserError(
                f"generator=unet needs images of one size, which data.preprocess={data['preprocess']} does not give: "
                "choose generator=resnet, or data.preprocess=resize_and_crop."
            )
        multiple = 1 << num_downsamplings
        if any(side % multiple for side in height_and_width(data["size"])):
            raise UserError(
                f"data.size={data['size']} does not halve generator.num_downsamplings={num_downsamplings} times: give "
                f"multiples of {multiple}, or fewer."
            )

    def forward(self, images: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            images = layer(images)
            skips.append(images)
        images = self.up[-1](skips.pop())
        for layer in reversed(self.up[:-1]):
            images = layer(torch.cat([skips.pop(), images], 1))
        return images


def _down(level: int, channels: int, maps: Sequence[int], norm: str, bias: bool) -> nn.Sequential:
    """Returns the downsampling layers of a scale: no norm at the outermost and innermost, no ReLU at the outermost."""
    if level == 0:
        return nn.Sequential(Conv2d(channels, maps[0], 4, 2, 1, bias=bias))
    innermost = level == len(maps) - 1
    return nn.Sequential(
        nn.LeakyReLU(0.2),
        Conv2d(maps[level - 1], maps[level], 4, 2, 1, bias=bias),
        *([] if innermost else [make_norm(norm, maps[level])]),
    )


def _up(
    level: int, out_channels: int, maps: Sequence[int], norm: str, bias: bool, dropout: float, upsample: str
) -> nn.Sequential:
    """Returns the upsampling layers of a scale; all but the innermost also take the skip connection of their scale."""
    width = maps[level] if level == len(maps) - 1 else 2 * maps[level]
    if level == 0:
        last = upsampling(upsample, ConvTranspose2d(width, out_channels, 4, 2, 1))
        return nn.Sequential(nn.ReLU(), *last, nn.Tanh())
    return nn.Sequential(
        nn.ReLU(),
        *upsampling(upsample, ConvTranspose2d(width, maps[level - 1], 4, 2, 1, bias=bias)),
        make_norm(norm, maps[level - 1]),
        *([Dropout(dropout)] if dropout else []),
    )
