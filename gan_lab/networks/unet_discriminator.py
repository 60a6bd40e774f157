"""A discriminator that judges every pixel (Schönfeld et al. 2020; Wang et al. 2021, "Real-ESRGAN")."""

import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.common.bounds import PositiveInt
from gan_lab.networks.spectral import spectral_norm


class Discriminator(nn.Module):
    """A U-Net with skips by addition: images (N, C, H, W) → logits (N, 1, H, W).

    Sides must be multiples of 8. Layers have the names of the published implementation.

    Args:
        channels: C.
        filters: feature maps at full size, doubled at each of three halvings.
        spectral: normalises the weights of all layers but the first and the last by their spectral norm, as the paper
            does.
    """

    def __init__(self, channels: PositiveInt = 3, filters: PositiveInt = 64, spectral: bool = False) -> None:
        super().__init__()
        f = filters
        self.conv0 = nn.Conv2d(channels, f, 3, 1, 1)
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(f * m, f * 2 * m, 4, 2, 1, bias=False) for m in (1, 2, 4))
        self.conv4, self.conv5, self.conv6 = (nn.Conv2d(f * m, f * m // 2, 3, 1, 1, bias=False) for m in (8, 4, 2))
        self.conv7, self.conv8 = (nn.Conv2d(f, f, 3, 1, 1, bias=False) for _ in range(2))
        self.conv9 = nn.Conv2d(f, 1, 3, 1, 1)
        for number in range(1, 9) if spectral else ():
            spectral_norm(self.get_submodule(f"conv{number}"))

    def forward(self, images: Tensor) -> Tensor:
        skips = [_active(self.conv0(images))]
        for layer in (self.conv1, self.conv2, self.conv3):
            skips.append(_active(layer(skips[-1])))
        x = skips.pop()
        for layer in (self.conv4, self.conv5, self.conv6):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = _active(layer(x)) + skips.pop()
        return self.conv9(_active(self.conv8(_active(self.conv7(x)))))


def _active(maps: Tensor) -> Tensor:
    return F.leaky_relu(maps, 0.2)
