"""Colours for grey photographs: the lightness stays, and a network finds the colours, in CIE Lab."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.constraints import check_colour
from gan_lab.networks.resnet import Generator

WHITE = (0.95047, 1.0, 1.08883)
"""X, Y and Z of D65, the white of sRGB."""
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
"""From linear red, green and blue, IEC 61966-2-1."""
FROM_XYZ = torch.linalg.inv(torch.tensor(TO_XYZ, dtype=torch.float64)).tolist()
RANGE = 110.0
"""Largest value of a and b in sRGB, about."""
KINK = 6 / 29


class Colorizer(nn.Module):
    """Maps grey images (N, 3, H, W) in [-1, 1], of three equal channels, to images in colour.

    The body is the residual generator of Johnson et al. 2016. The lightness stays, as far as sRGB can show the colours.
    Large images get the colours of a smaller version, because colours change less from pixel to pixel than lightness
    does (Zhang et al. 2016, "Colorful Image Colorization").

    Args:
        filters: feature maps of the first layer.
        blocks: residual blocks.
        lab: finds a and b of CIE Lab, and keeps the lightness; false: finds red, green and blue.
        largest: longer side, in pixels, of the image that a and b are found for.
    """

    multiple = 4
    receptive_radius = None
    check_data = staticmethod(check_colour)

    def __init__(
        self, filters: PositiveInt = 64, blocks: Natural = 6, lab: bool = True, largest: PositiveInt = 512
    ) -> None:
        super().__init__()
        self.network = Generator(1, 2 if lab else 3, filters, blocks, upsample="resize")
        self.lab, self.largest = lab, largest

    def forward(self, image: Tensor) -> Tensor:
        size = image.shape[2:]
        grey = image.mean(1, keepdim=True)
        if not self.lab:
            whole: Tensor = self.network(grey)
            return whole
        with torch.autocast(image.device.type, enabled=False):
            lightness = lightness_of(image.float())
        colours = RANGE * self._at_most(lightness / 50 - 1, size).float()
        with torch.autocast(image.device.type, enabled=False):
            return from_lab(torch.cat([lightness, colours], 1))

    def _at_most(self, grey: Tensor, size: torch.Size) -> Tensor:
        """Returns what the network makes of images (N, 1, H, W), or of smaller versions, in their size."""
        scale = min(1.0, self.largest / max(size))
        if scale == 1:
            found: Tensor = self.network(grey)
            return found
        smaller = [max(8, round(side * scale / self.multiple) * self.multiple) for side in size]
        found = self.network(F.interpolate(grey, smaller, mode="bilinear", antialias=True))
        return F.interpolate(found, tuple(size), mode="bilinear")


def lightness_of(images: Tensor) -> Tensor:
    """Returns L of CIE Lab, 0 to 100, (N, 1, H, W), of sRGB images (N, 3, H, W) in [-1, 1]."""
    zero_to_one = ((images + 1) / 2).clamp(0, 1)
    linear = torch.where(zero_to_one > 0.04045, ((zero_to_one + 0.055) / 1.055) ** 2.4, zero_to_one / 12.92)
    brightness = (linear * linear.new_tensor(TO_XYZ[1]).view(3, 1, 1)).sum(1, keepdim=True)
    root = brightness.clamp(min=KINK**3) ** (1 / 3)
    return 116 * torch.where(brightness > KINK**3, root, brightness / (3 * KINK**2) + 4 / 29) - 16


def from_lab(images: Tensor) -> Tensor:
    """Returns sRGB images (N, 3, H, W) of L in [0, 100], a and b, (N, 3, H, W).

    Colours that sRGB lacks lie outside of [-1, 1].
    """
    lightness, a, b = images.split(1, 1)
    middle = (lightness + 16) / 116
    roots = torch.cat([middle + a / 500, middle, middle - b / 200], 1)
    xyz = torch.where(roots > KINK, roots**3, 3 * KINK**2 * (roots - 4 / 29)) * roots.new_tensor(WHITE).view(3, 1, 1)
    linear = torch.einsum("rx,nxhw->nrhw", xyz.new_tensor(FROM_XYZ), xyz)
    # A gradient flows where a colour lies outside of sRGB, so that the network can find its way back.
    curved = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear)
    return curved * 2 - 1
