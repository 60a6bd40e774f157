"""Networks that see a whole image in every layer: fast Fourier convolutions (Chi et al. 2020), for filling images.

Suvorov et al. 2022, "Resolution-robust Large Mask Inpainting with Fourier Convolutions" (LaMa). Some maps are local and
go through ordinary convolutions; the others are global and also through convolutions of their spectrum.
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
from gan_lab.networks.layers import upsampling

Pair = tuple[Tensor, Tensor | None]
"""Local maps (N, L, H, W) and global ones (N, G, H, W), or None if there are none."""


class FourierUnit(nn.Module):
    """A 1×1 convolution of the spectrum: maps (N, C, H, W) → the same. Every result depends on the whole image."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2 * maps, 2 * maps, 1, bias=False), nn.BatchNorm2d(2 * maps)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # there is no Fourier transform in bfloat16
            spectrum = torch.view_as_real(torch.fft.rfft2(x.float().contiguous(), norm="ortho"))
            parts = spectrum.movedim(-1, 2).flatten(1, 2)
        changed = F.relu(self.norm(self.conv(parts))).float().unflatten(1, (-1, 2)).movedim(2, -1).contiguous()
        return torch.fft.irfft2(torch.view_as_complex(changed), s=x.shape[2:], norm="ortho").to(x.dtype)


class SpectralTransform(nn.Module):
    """A Fourier unit with half of the maps, between 1×1 convolutions: (N, inputs, H, W) → (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.reduce = nn.Sequential(nn.Conv2d(inputs, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU())
        self.unit, self.expand = FourierUnit(half), nn.Conv2d(half, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        return self.expand(reduced + self.unit(reduced))


class FourierConv(nn.Module):
    """A fast Fourier convolution with batch normalisation and ReLU: a ``Pair`` → a ``Pair``.

    Args:
        inputs: local and global maps of the input.
        outputs: of the output.
        side: of the convolutions.
        stride: of the convolutions.
    """

    def __init__(self, inputs: tuple[int, int], outputs: tuple[int, int], side: int = 3, stride: int = 1) -> None:
        super().__init__()

        def conv(a: int, b: int) -> nn.Conv2d | None:
            options: Any = {"bias": False, "padding_mode": "reflect"}
            return nn.Conv2d(a, b, side, stride, side // 2, **options) if a and b else None

        self.local_to_local, self.local_to_global = (conv(inputs[0], each) for each in outputs)
        self.global_to_local = conv(inputs[1], outputs[0])
        self.global_to_global = SpectralTransform(inputs[1], outputs[1]) if inputs[1] and outputs[1] else None
        self.local_norm = nn.BatchNorm2d(outputs[0])
        self.global_norm = nn.BatchNorm2d(outputs[1]) if outputs[1] else None

    def forward(self, x: Pair) -> Pair:
        local, spread = x
        locals_, globals_ = _sum(x, (self.local_to_local, self.global_to_local)), None
        assert locals_ is not None
        if self.global_norm is not None:
            globals_ = _sum((local, spread), (self.local_to_global, self.global_to_global))
            assert globals_ is not None
            globals_ = F.relu(self.global_norm(globals_))
        return F.relu(self.local_norm(locals_)), globals_


class FourierBlock(nn.Module):
    """Two fast Fourier convolutions in a residual, a ``Pair`` → a ``Pair``."""

    def __init__(self, maps: tuple[int, int]) -> None:
        super().__init__()
        self.first, self.second = FourierConv(maps, maps), FourierConv(maps, maps)

    def forward(self, x: Pair) -> Pair:
        local, spread = self.second(self.first(x))
        return x[0] + local, None if spread is None or x[1] is None else x[1] + spread


class Generator(nn.Module):
    """LaMa's network: images (N, C, H, W) in [-1, 1] and known pixels (N, 1, H, W) → images, in [-1, 1].

    Args:
        channels: C.
        maps: feature maps at full size, doubled at each halving.
        num_downsamplings: halvings of the sides, before the blocks.
        blocks: residual blocks; LaMa-Fourier has 9, the large network 18.
        share: of the maps that are global, in the blocks, below 1.
        most: the largest number of maps.
        upsample: "transposed", the paper's, or "resize"; see ``upsampling``.

    Raises:
        ValueError: for a share of 1, or another upsampling.
    """

    def __init__(
        self,
        channels: PositiveInt = 3,
        maps: PositiveInt = 64,
        num_downsamplings: PositiveInt = 3,
        blocks: PositiveInt = 9,
        share: Probability = 0.75,
        most: PositiveInt = 1024,
        upsample: str = "transposed",
    ) -> None:
        super().__init__()
        widths = [min(most, maps << level) for level in range(num_downsamplings + 1)]
        spread = 2 * int(widths[-1] * share / 2)  # a spectral transform halves them
        if spread == widths[-1]:
            raise ValueError(f"share={share} is not valid: give less than 1, as some maps must be local.")
        deep = widths[-1] - spread, spread
        self.first = FourierConv((channels + 1, 0), (maps, 0), 7)
        down = [(width, 0) for width in widths[:-1]] + [deep]
        self.down = nn.ModuleList(FourierConv(before, after, stride=2) for before, after in pairwise(down))
        self.blocks = nn.ModuleList(FourierBlock(deep) for _ in range(blocks))
        up: list[nn.Module] = []
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1], strict=True):
            up += upsampling(upsample, nn.ConvTranspose2d(wide, narrow, 3, 2, 1, 1))
            up += [nn.BatchNorm2d(narrow), nn.ReLU()]
        self.up = nn.Sequential(*up)
        self.last = nn.Conv2d(maps, channels, 7, 1, 3, padding_mode="reflect")
        self.multiple = 1 << num_downsamplings

    @staticmethod
    def check_data(data: Mapping[str, Any], num_downsamplings: int = 3, **_: object) -> None:
        """Checks the size of the images, see ``ChecksData``.

        Raises:
            UserError: if it does not fit the halvings.
        """
        height, width = height_and_width(data["size"])
        multiple = 1 << num_downsamplings
        if height % multiple or width % multiple or min(height, width) < 2 * multiple:
            raise UserError(
                f"A network with num_downsamplings={num_downsamplings} takes images of {2 * multiple} px or more, in "
                f"steps of {multiple}, not {height}×{width}: give another data.size."
            )

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        """Returns the images; unknown pixels have no effect.

        Sides must be multiples of ``multiple``, and at least twice that.
        """
        known = known.to(image.dtype)
        x: Pair = self.first((torch.cat([image * known, 1 - known], 1), None))
        for layer in (*self.down, *self.blocks):
            x = layer(x)
        local, spread = x
        joined = local if spread is None else torch.cat([local, spread], 1)
        return torch.tanh(self.last(self.up(joined)))


def _sum(x: Pair, layers: tuple[nn.Module | None, nn.Module | None]) -> Tensor | None:
    """Returns the sum of the results of the layers that exist, of local and of global maps."""
    found = [layer(maps) for layer, maps in zip(layers, x, strict=True) if layer is not None and maps is not None]
    return None if not found else found[0] if len(found) == 1 else found[0] + found[1]
