"""The networks of SPADE (Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization")."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.networks.instance_norm import InstanceNorm2d
from gan_lab.networks.label_patches import Patches, find_patches, pixel_codes
from gan_lab.networks.layers import init_weights
from gan_lab.networks.spectral import spectral_norm

NORMS = {"batch": nn.BatchNorm2d, "instance": InstanceNorm2d}
"""Norms without parameters; under ``trainer.sync_batchnorm`` batch norms are those of all GPUs together."""


class Generator(nn.Module):
    """Maps label maps (N, C, H, W), and perhaps styles (N, Z), to images (N, C', H, W) in [-1, 1] (figure 11).

    Each block modulates normalised maps by the label map at their own size, so it is never washed away. The first maps
    are made of the label map, or of the style. With 64 filters it has 93,048,003 parameters for Cityscapes, 96,492,483
    for ADE20K and 97,480,899 for COCO-Stuff.

    Args:
        channels: C: classes, one for pixels of no class, edges of objects.
        out_channels: C'.
        filters: maps of the last block; up to 16 times as many in the first.
        upsamplings: doublings of the sides; the paper has 5 for 256 px and 6 for 512 px; 7 add a block of half as many
            maps.
        hidden: maps in the networks that modulate.
        norm: "batch", or "instance".
        style: Z, which adds an encoder of images; 0 for no styles.
        size: side of the images in pixels, or [H, W], for the first maps of a style; those of other sizes are resized.

    Attributes:
        multiple: H and W must be multiples of it.
        encoder: images → means and log-variances of styles; None without styles.

    Raises:
        ValueError: for another norm.
    """

    def __init__(
        self,
        channels: PositiveInt = 3,
        out_channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        upsamplings: PositiveInt = 5,
        hidden: PositiveInt = 128,
        norm: str = "batch",
        style: Natural = 0,
        size: PositiveInt | Sequence[PositiveInt] = 256,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"norm={norm} is not valid: choose one of {', '.join(NORMS)}.")
        self.multiple, self.style = 1 << upsamplings, style
        height, width = height_and_width(size)
        self.first = height // self.multiple, width // self.multiple
        widths = [filters << level for level in range(min(upsamplings, 5) - 1, -1, -1)]
        widest, last = widths[0], widths[-1] // 2 if upsamplings > 6 else widths[-1]
        first = self.first[0] * self.first[1]
        self.start = nn.Linear(style, widest * first) if style else nn.Conv2d(channels, widest, 3, 1, 1)
        steps = [(widest, widest, 0), (widest, widest, 1), (widest, widest, int(upsamplings > 5))]
        steps += [(wide, narrow, 1) for wide, narrow in pairwise(widths)]
        steps += [(widths[-1], last, 1)] if upsamplings > 6 else []
        self.blocks = nn.ModuleList(Block(*step, channels, hidden, NORMS[norm]) for step in steps)
        self.image = nn.Conv2d(last, out_channels, 3, 1, 1)
        init_weights(self, "xavier")
        for block in self.blocks:
            cast(Block, block).prepare()
        self.encoder = Encoder(style, out_channels, filters, _power_of_two(min(256, height, width))) if style else None

    @staticmethod
    def check_data(data: Mapping[str, Any], upsamplings: int = 5, **_: object) -> None:
        """Checks that the images' sides can be halved as often, see ``ChecksData``.

        Raises:
            UserError: if they cannot.
        """
        if any(side % (1 << upsamplings) for side in height_and_width(data["size"])):
            raise UserError(
                f"data.size={data['size']} is not valid with generator.upsamplings={upsamplings}: give multiples of "
                f"{1 << upsamplings}, or fewer upsamplings."
            )

    def forward(self, labels: Tensor, style: Tensor | None = None) -> Tensor:
        """Returns images (N, C', H, W), given label maps (N, C, H, W) and styles (N, Z); without, the mean style."""
        scales = self._pyramid(labels)
        x = self._first_maps(scales[0].labels, style)
        level = 0
        for block in self.blocks:
            level += cast(Block, block).doubles
            x = block(x, scales[level])
        return torch.tanh(self.image(F.leaky_relu(x, 0.2)))

    def _pyramid(self, labels: Tensor) -> list["Scale"]:
        """Returns label maps (N, C, H, W) at each size, from the smallest, once for all blocks."""
        codes = pixel_codes(labels)
        if torch.is_autocast_enabled(labels.device.type):
            labels = labels.to(torch.get_autocast_dtype(labels.device.type))
        scales = []
        for step in (self.multiple >> level for level in range(self.multiple.bit_length())):
            nearest = labels[..., ::step, ::step].contiguous(memory_format=torch.channels_last)
            patches = None if codes is None else find_patches(nearest, codes[:, ::step, ::step])
            scales.append(Scale(nearest, patches))
        return scales

    def _first_maps(self, labels: Tensor, style: Tensor | None) -> Tensor:
        if not self.style:
            found: Tensor = self.start(labels)
            return found
        if style is None:
            style = labels.new_zeros(len(labels), self.style)
        maps = self.start(style).view(len(labels), -1, *self.first)
        return maps if labels.shape[2:] == maps.shape[2:] else F.interpolate(maps, labels.shape[2:], mode="bilinear")


class Scale(NamedTuple):
    """Label maps (N, C, H, W) of one size, and their patches if a table of these pays."""

    labels: Tensor
    patches: Patches | None


class Block(nn.Module):
    """A residual block: maps (N, I, h, w) and label maps of a scale → maps (N, O, H, W) (figure 10a).

    Doubling the sides, to the nearest pixel, leaves means and variances as they are. So maps are normalised before.

    Args:
        inputs, outputs: I, O.
        doubles: 1 if it doubles the sides at first, else 0.
        labels: C.
        hidden: maps in the networks that modulate.
        norm: makes a norm, without parameters, for a number of maps.
    """

    def __init__(self, inputs: int, outputs: int, doubles: int, labels: int, hidden: int, norm: Any) -> None:
        super().__init__()
        middle, self.doubles = min(inputs, outputs), doubles
        self.norm, self.middle_norm = norm(inputs, affine=False), norm(middle, affine=False)
        self.modulate, self.modulate_middle = (Modulation(maps, labels, hidden) for maps in (inputs, middle))
        self.conv, self.last = nn.Conv2d(inputs, middle, 3, 1, 1), nn.Conv2d(middle, outputs, 3, 1, 1)
        learned = inputs != outputs
        self.modulate_skip = Modulation(inputs, labels, hidden) if learned else None
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False) if learned else None

    def prepare(self) -> None:
        """Adds spectral norms to convolutions with initial weights, and lets modulation begin without effect."""
        for layer in (self.conv, self.last, self.skip):
            if layer is not None:
                spectral_norm(layer)
        for modulation in (self.modulate, self.modulate_middle, self.modulate_skip):
            if modulation is not None:
                modulation.prepare()

    def forward(self, x: Tensor, scale: Scale) -> Tensor:
        normal = self._doubled(self.norm(x))
        y = self.conv(F.leaky_relu(self.modulate(normal, scale), 0.2))
        y = self.last(F.leaky_relu(self.modulate_middle(self.middle_norm(y), scale), 0.2))
        if self.skip is None or self.modulate_skip is None:
            return self._doubled(x) + y
        return self.skip(self.modulate_skip(normal, scale)) + y

    def _doubled(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0) if self.doubles else x


class Modulation(nn.Module):
    """Factors and offsets of normalised maps (N, maps, H, W), for each pixel, from label maps of their size (eq. 1).

    The factor's 1 is in the bias.
    """

    def __init__(self, maps: int, labels: int, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(labels, hidden, 3, 1, 1)
        self.factors = nn.Conv2d(hidden, 2 * maps, 3, 1, 1)

    def prepare(self) -> None:
        """Sets the initial weights: those of factors and offsets are two layers', and factors begin around 1."""
        init_halves(self.factors)
        nn.init.ones_(self.factors.bias.data.chunk(2)[0])  # type: ignore[union-attr]

    def forward(self, normal: Tensor, scale: Scale) -> Tensor:
        if scale.patches is None:
            both = self.factors(F.relu(self.embed(scale.labels)))
        else:
            both = scale.patches.convolved(self.embed, self.factors)
        factor, offset = both.chunk(2, 1)
        return torch.addcmul(offset, normal.to(offset.dtype), factor)


class Encoder(nn.Module):
    """Maps images (N, C, H, W) to means and log-variances (N, Z) of styles (figure 14).

    With 64 filters and Z = 256 it has 10,463,424 parameters.

    Args:
        dim: Z.
        channels: C.
        filters: maps of the first layer, doubled at each further one up to eight times as many.
        side: images are resized to this square, and halved to 4 px: a power of two.
    """

    def __init__(
        self, dim: PositiveInt = 256, channels: PositiveInt = 3, filters: PositiveInt = 64, side: PositiveInt = 256
    ) -> None:
        super().__init__()
        self.side, narrow = side, channels
        layers: list[nn.Module] = []
        for level in range(max(1, side.bit_length() - 3)):
            wide = filters * min(1 << level, 8)
            layers += [nn.Conv2d(narrow, wide, 3, 2, 1, bias=False), InstanceNorm2d(wide), nn.LeakyReLU(0.2)]
            narrow = wide
        self.layers = nn.Sequential(*layers)
        self.moments = nn.Linear(narrow * (side >> len(layers) // 3) ** 2, 2 * dim)
        init_weights(self, "xavier")
        init_halves(self.moments)
        spectral_norm(self.layers)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        square = self.side, self.side
        if images.shape[2:] != square:
            images = F.interpolate(images, square, mode="bilinear")
        mean, log_variance = self.moments(self.layers(images).flatten(1)).float().chunk(2, 1)
        return mean, log_variance


def init_halves(layer: nn.Conv2d | nn.Linear) -> None:
    """Draws the weights of a layer that is two layers in one, as those of the two (``init_xavier``)."""
    for half in layer.weight.data.chunk(2):
        nn.init.xavier_normal_(half, 0.02)


def _power_of_two(side: int) -> int:
    """Returns the largest power of two up to ``side``."""
    return 1 << side.bit_length() - 1
