"""Adaptive instance normalisation (Huang and Belongie 2017), and a decoder of maps that were normalised so."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveFloat, PositiveInt


def adain(content: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Returns maps with other means and standard deviations over space (eq. 8).

    Args:
        content: (N, C, H, W).
        mean: (N or 1, C).
        deviation: (N or 1, C).
    """
    variance, own = torch.var_mean(content, (2, 3), correction=0, keepdim=True)
    return (content - own) * (variance + 1e-5).rsqrt() * deviation[..., None, None] + mean[..., None, None]


class Decoder(nn.Module):
    """Maps an encoder's maps of several layers, from fine to coarse, to images (N, 3, H, W), without normalisation.

    The paper decodes VGG's fourth layer alone. Encoders with few maps lose too much there, so finer layers join on the
    way up, normalised as well (Sheng et al. 2018, "Avatar-Net", section 3.2).

    Args:
        widths: maps of each layer of the encoder.
        filters: maps of this network at the image's size, doubled at each layer, up to eight times as many.
        scale: that the encoder's maps are divided by: about their standard deviation.
    """

    def __init__(self, widths: Sequence[PositiveInt], filters: PositiveInt = 32, scale: PositiveFloat = 6.0) -> None:
        super().__init__()
        sizes = [min(2**level, 8) * filters for level in range(len(widths) + 1)]
        self.scale, self.widths = scale, tuple(widths)
        self.deepest = _convolution(widths[-1], sizes[-1])
        self.steps = nn.ModuleList(
            nn.Sequential(_convolution(above + width, below), nn.ReLU(), _convolution(below, below))
            for above, width, below in zip(sizes[:0:-1], [*widths[-2::-1], 0], sizes[-2::-1], strict=True)
        )
        self.last = _convolution(sizes[0], 3)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Decodes maps, from fine to coarse, to images of a height and width; values may lie outside [-1, 1]."""
        x = self.deepest(maps[-1] / self.scale)
        for step, finer in zip(self.steps, [*maps[-2::-1], None], strict=True):
            x = F.interpolate(F.relu(x), size=tuple(size if finer is None else finer.shape[2:]), mode="nearest")
            x = step(x if finer is None else torch.cat([x, finer / self.scale], 1))
        image: Tensor = self.last(F.relu(x))
        return image


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")
