"""Networks that fill what is missing from what surrounds it, and a discriminator that looks at it twice.

Iizuka, Simo-Serra and Ishikawa 2017, "Globally and Locally Consistent Image Completion": context encoders (Pathak et
al. 2016) of any size, with dilated convolutions in place of the fully connected layer.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt, Probability
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.networks.denoising import Denoiser
from gan_lab.networks.layers import make_norm, upsampling
from gan_lab.networks.smooth_fill import smooth_fill

DILATIONS = (2, 4, 8, 16)


def check_steps(data: Mapping[str, Any], step: int) -> None:
    """Checks that the sides of the images are multiples of ``step``, see ``ChecksData``.

    Raises:
        UserError: if they are not.
    """
    height, width = height_and_width(data["size"])
    if height % step or width % step:
        raise UserError(
            f"This network takes images with sides in steps of {step}, not {height}×{width}: give data.size."
        )


class Completer(nn.Module):
    """Table 1 of the paper: images (N, C, H, W) in [-1, 1] and known pixels (N, 1, H, W) → images, in [-1, 1].

    Args:
        channels: C.
        maps: feature maps at full size; two and four times as many at a half and a quarter.
        norm: see ``make_norm``.
        upsample: "transposed", the paper's, or "resize"; see ``upsampling``.
    """

    multiple = 4
    """Sides of the images must be multiples of it."""

    def __init__(
        self,
        channels: PositiveInt = 3,
        maps: PositiveInt = 64,
        norm: str = "batch",
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        a, b, c = maps, 2 * maps, 4 * maps
        half = max(1, a // 2)
        convs = [nn.Conv2d(channels + 1, a, 5, 1, 2), nn.Conv2d(a, b, 3, 2, 1), nn.Conv2d(b, b, 3, 1, 1)]
        convs += [nn.Conv2d(b, c, 3, 2, 1), nn.Conv2d(c, c, 3, 1, 1), nn.Conv2d(c, c, 3, 1, 1)]
        convs += [nn.Conv2d(c, c, 3, 1, step, step) for step in (*DILATIONS, 1, 1)]
        layers = [part for conv in convs for part in (conv, make_norm(norm, conv.out_channels), nn.ReLU())]
        for wide, narrow, out in ((c, b, b), (b, a, half)):
            layers += upsampling(upsample, nn.ConvTranspose2d(wide, narrow, 4, 2, 1))
            layers += [make_norm(norm, narrow), nn.ReLU()]
            layers += [nn.Conv2d(narrow, out, 3, 1, 1), make_norm(norm, out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(half, channels, 3, 1, 1), nn.Tanh())

    @staticmethod
    def check_data(data: Mapping[str, Any], **_: object) -> None:
        """Checks the size of the images, see ``ChecksData``.

        Raises:
            UserError: if its sides are not multiples of 4.
        """
        check_steps(data, Completer.multiple)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        """Returns the images; unknown pixels have no effect."""
        known = known.to(image.dtype)
        filled: Tensor = self.layers(torch.cat([image * known, 1 - known], 1))
        return filled


class Refiner(nn.Module):
    """Adds to a smooth fill, by residual blocks: images (N, C, H, W) in [-1, 1] and known pixels (N, 1, H, W) → images.

    It starts with the smooth fill, and learns edges and textures from there, within minutes on a CPU. The images may
    leave [-1, 1].

    Args:
        channels: C.
        maps: feature maps.
        blocks: residual blocks.
        patch: side of the squares of pixels that become the channels of one position; see ``Denoiser``.
    """

    def __init__(
        self, channels: PositiveInt = 3, maps: PositiveInt = 64, blocks: PositiveInt = 16, patch: PositiveInt = 2
    ) -> None:
        super().__init__()
        self.layers = Denoiser(channels, maps, blocks, patch, conditions=1)

    @property
    def multiple(self) -> int:
        """Sides of the images must be multiples of it."""
        return self.layers.multiple

    @staticmethod
    def check_data(data: Mapping[str, Any], patch: int = 2, **_: object) -> None:
        """Checks the size of the images, see ``ChecksData``.

        Raises:
            UserError: if its sides are not multiples of ``patch``.
        """
        check_steps(data, patch)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        """Returns the images; unknown pixels have no effect."""
        known = known.to(image.dtype)
        filled: Tensor = self.layers(smooth_fill(image, known), 1 - known)
        return filled


class GlobalLocal(nn.Module):
    """Judges an image and a window around what was unknown: (N, C, H, W) and known pixels (N, 1, H, W) → logits (N, 1).

    Unlike the paper's, both parts end in a mean over all places, so that images may have any size.

    Args:
        channels: C.
        filters: feature maps of the first layer, doubled at each further one up to eight times as many.
        layers: halvings of the image; the window has one less.
        window: sides of the window in shares of the image's.
        features: features that each of the two parts ends in.
        norm: see ``make_norm``; used in all but the first layers.
    """

    takes_known = True

    def __init__(
        self,
        channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        layers: PositiveInt = 5,
        window: Probability = 0.5,
        features: PositiveInt = 1024,
        norm: str = "none",
    ) -> None:
        super().__init__()
        self.window = window
        self.whole = _description(channels, filters, layers, features, norm)
        self.part = _description(channels, filters, max(1, layers - 1), features, norm)
        self.join = nn.Linear(2 * features, 1)

    def forward(self, images: Tensor, known: Tensor) -> Tensor:
        seen = torch.cat([self.whole(images), self.part(around_unknown(images, known, self.window))], 1)
        return self.join(seen)


CELLS = 16
"""Rows and columns of an image, by which a window is placed."""


def around_unknown(images: Tensor, known: Tensor, share: float) -> Tensor:
    """Returns a window of each image (N, C, H, W): where most is unknown, and most of that in the window's middle.

    Args:
        images: (N, C, H, W).
        known: 1 at known pixels, (N, 1, H, W).
        share: sides of the windows in shares of the image's.

    Returns:
        (N, C, h, w), h and w rounded.
    """
    sizes = [max(1, round(share * side)) for side in images.shape[2:]]
    cells = min(CELLS, max(1, round(share * CELLS)))
    tent = 1 - torch.linspace(-0.9, 0.9, cells, device=images.device).abs()
    unknown = F.adaptive_avg_pool2d(1 - known.float(), CELLS)
    best = F.conv2d(unknown, torch.outer(tent, tent)[None, None]).flatten(1).argmax(1)
    steps = CELLS - cells
    for axis, place in ((2, best // (steps + 1)), (3, best % (steps + 1))):
        size = sizes[axis - 2]
        first = place * (images.shape[axis] - size) // max(1, steps)
        index = (first[:, None] + torch.arange(size, device=images.device)).unsqueeze(1).unsqueeze(5 - axis)
        shape = [*images.shape]
        shape[axis] = size
        images = images.gather(axis, index.expand(shape))
    return images


def _description(channels: int, filters: int, layers: int, features: int, norm: str) -> nn.Sequential:
    """Returns a network from images (N, channels, H, W) to (N, features)."""
    widths = [channels, *(filters * min(1 << level, 8) for level in range(layers))]
    parts: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(widths)):
        parts += [nn.Conv2d(before, after, 5, 2, 2), make_norm(norm if number else "none", after), nn.LeakyReLU(0.2)]
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], features), nn.LeakyReLU(0.2)]
    return nn.Sequential(*parts)
