"""PatchGAN discriminators (Isola et al. 2017; Li and Wand 2016): a logit for each 70×70 window of the image.

Several of them judge an image at several scales (Wang et al. 2018, pix2pixHD, section 3.2).
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import Natural, PositiveInt
from gan_lab.common.constraints import height_and_width
from gan_lab.common.errors import UserError
from gan_lab.networks.layers import init_weights, make_norm
from gan_lab.networks.resnet import BlurDown
from gan_lab.networks.spectral import spectral_norm


class Discriminator(nn.Module):
    """Maps images (N, C, H, W) to logits (N, 1, h, w); with three layers each sees a window of 70×70 px.

    With 64 filters it has 2,764,737 parameters for three channels, and 2,768,705 for six channels with batch norm.

    Args:
        channels: C; a conditional discriminator sees input and output together.
        filters: feature maps of the first layer, doubled at each further one up to eight times as many.
        layers: halvings; 1 gives windows of 16 px, 2 of 34 px, 3 of 70 px.
        norm: see ``make_norm``; used in all but the first and last layer.
        antialias: downsample through blur filters, as CUT does.
        init: "normal", N(0, 0.02²), or "xavier" with gain 0.02.
        padding: zeros around the maps of each layer; pix2pixHD and SPADE have 2.
        spectral: spectral norm in all but the first and last layer, which then have no biases before a norm (SPADE).

    Raises:
        ValueError: for another norm or initialisation.
    """

    def __init__(
        self,
        channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        layers: PositiveInt = 3,
        norm: str = "plain_instance",
        antialias: bool = False,
        init: str = "normal",
        padding: Natural = 1,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        bias = norm == "none" or (norm != "batch" and not spectral)

        def downsample(maps: int) -> list[nn.Module]:
            return [BlurDown(maps)] if antialias else []

        stride, wide = 1 if antialias else 2, filters
        parts: list[nn.Module] = [nn.Conv2d(channels, filters, 4, stride, padding), nn.LeakyReLU(0.2, True)]
        parts += downsample(filters)
        for level in range(1, layers + 1):
            narrow, wide, last = wide, filters * min(1 << level, 8), level == layers
            parts += [nn.Conv2d(narrow, wide, 4, 1 if last else stride, padding, bias=bias), make_norm(norm, wide)]
            parts += [nn.LeakyReLU(0.2, True), *([] if last else downsample(wide))]
        parts += [nn.Conv2d(wide, 1, 4, 1, padding)]
        self.layers = nn.Sequential(*parts)
        init_weights(self, init)
        if spectral:
            spectral_norm(self.layers[1:-1])

    @staticmethod
    def check_data(data: Mapping[str, Any], layers: int = 3, padding: int = 1, **_: object) -> None:
        """Checks that the images are large enough for the layers, see ``ChecksData``.

        Raises:
            UserError: if they are not.
        """
        height, width = height_and_width(data["size"])
        if padding < 2 and min(height, width) >> layers < 3:
            raise UserError(
                f"A discriminator with discriminator.layers={layers} needs images of at least {3 << layers} px, not "
                f"{height}×{width}: give fewer layers, or a larger data.size."
            )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Returns the maps (N, F, h, w) after each activation, and the logits last, given images (N, C, H, W)."""
        found, x = [], images
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                found.append(x)
        return [*found, x]


class MultiscaleDiscriminator(nn.Module):
    """Discriminators of the image, of its half, of its quarter …: images (N, C, H, W) → logits (N, P) of all patches.

    Args:
        channels, filters, layers, norm, init, spectral: see ``Discriminator``.
        scales: number of discriminators.
    """

    def __init__(
        self,
        channels: PositiveInt = 3,
        filters: PositiveInt = 64,
        layers: PositiveInt = 3,
        scales: PositiveInt = 2,
        norm: str = "plain_instance",
        init: str = "normal",
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            Discriminator(channels, filters, layers, norm, init=init, padding=2, spectral=spectral)
            for _ in range(scales)
        )

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.maps(images, scale)[-1].flatten(1) for scale in range(len(self.scales))], 1)

    def maps(self, images: Tensor, scale: Natural, skipped: Natural = 0) -> list[Tensor]:
        """Returns the maps (N, F, h, w) of one discriminator after each activation, and its logits last.

        Args:
            images: (N, C, H, W).
            scale: which discriminator, from the finest.
            skipped: discriminators of larger images, which are left out: the images have the size of this one.
        """
        for _ in range(scale - skipped):
            images = halved(images)
        return self.scales[scale].maps(images)  # type: ignore[operator]


def halved(images: Tensor) -> Tensor:
    """Halves the sides of images (N, C, H, W) by means of 3×3 pixels."""
    return F.avg_pool2d(images, 3, 2, 1, count_include_pad=False)
