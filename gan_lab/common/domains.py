"""Domains of image translation."""

import colorsys
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.images import to_float, to_uint8


@dataclass(frozen=True)
class Domain:
    """One domain of a translation: images, or label maps.

    Args:
        channels: 1 or 3, for images.
        labels: K, the number of classes of label maps; 0 for images. Label maps are stored as class ids, uint8
            (N, 1, H, W), where ids of K and more mean "no class". Networks get them one-hot.
    """

    channels: int = 3
    labels: int = 0

    @property
    def stored_channels(self) -> int:
        """The number of channels of the stored uint8 pixels."""
        return 1 if self.labels else self.channels

    @property
    def network_channels(self) -> int:
        """The number of channels of a network's input or output."""
        return self.labels or self.channels

    def encode(self, pixels: Tensor) -> Tensor:
        """Maps stored pixels to a network's input.

        Images uint8 (N, C, H, W) become float32 (N, C, H, W) in [-1, 1]; class ids uint8 (N, 1, H, W) become float32
        (N, K, H, W) of 0 and 1.
        """
        if not self.labels:
            return to_float(pixels)
        ids = pixels[:, 0].long()
        known = ids < self.labels
        one_hot = F.one_hot(ids.where(known, 0), self.labels) * known[..., None]
        return one_hot.permute(0, 3, 1, 2).float()

    def decode(self, images: Tensor) -> Tensor:
        """Maps a network's input or output to uint8 pixels as they are stored; inverts ``encode``.

        Images (N, C, H, W) in [-1, 1] become uint8 (N, C, H, W). Label maps (N, K, H, W) become the ids of the most
        likely class, uint8 (N, 1, H, W).
        """
        return images.argmax(1, keepdim=True).to(torch.uint8) if self.labels else to_uint8(images)

    def visualize(self, images: Tensor) -> Tensor:
        """Maps a network's input or output to images for display.

        Images (N, C, H, W) in [-1, 1] stay as they are. Label maps (N, K, H, W) become RGB images (N, 3, H, W) in
        [-1, 1] with a colour for each class.
        """
        if not self.labels:
            return images
        return to_float(palette(self.labels).to(images.device)[images.argmax(1)].permute(0, 3, 1, 2))


def palette(labels: int) -> Tensor:
    """Returns a colour for each class, uint8 (K, 3): hues a golden angle apart, with three alternating lightnesses."""
    hues = [(0.618034 * k % 1, (0.45, 0.65, 0.3)[k % 3]) for k in range(labels)]
    colours = [colorsys.hls_to_rgb(hue, lightness, 0.7) for hue, lightness in hues]
    return (torch.tensor(colours) * 255).round().to(torch.uint8)
