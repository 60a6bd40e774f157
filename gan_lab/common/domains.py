"""Domains of a translation."""

import colorsys
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.images import to_float, to_uint8


@dataclass(frozen=True)
class Domain:
    """One side of a translation.

    Args:
        channels: 1 or 3, of pictures.
        labels: K where they are maps of class ids, stored as uint8 (N, 1, H, W) with ids from K up meaning "none";
            networks see them one-hot. 0 for pictures.
    """

    channels: int = 3
    labels: int = 0

    @property
    def stored_channels(self) -> int:
        """Channels of the stored uint8 pixels."""
        return 1 if self.labels else self.channels

    @property
    def network_channels(self) -> int:
        """Channels that a network sees."""
        return self.labels or self.channels

    def encode(self, pixels: Tensor) -> Tensor:
        """uint8 (N, C, H, W) → float32 in [-1, 1], or ids (N, 1, H, W) → float32 (N, K, H, W) of 0 and 1."""
        if not self.labels:
            return to_float(pixels)
        ids = pixels[:, 0].long()
        known = ids < self.labels
        one_hot = F.one_hot(ids.where(known, 0), self.labels) * known[..., None]
        return one_hot.permute(0, 3, 1, 2).float()

    def decode(self, images: Tensor) -> Tensor:
        """What a network sees or makes → uint8 pixels as they are stored; of a map the most likely class."""
        return images.argmax(1, keepdim=True).to(torch.uint8) if self.labels else to_uint8(images)

    def visualize(self, images: Tensor) -> Tensor:
        """What a network sees or makes → pictures (N, C, H, W) in [-1, 1] for the eye, a map in a colour a class."""
        if not self.labels:
            return images
        return to_float(palette(self.labels).to(images.device)[images.argmax(1)].permute(0, 3, 1, 2))


def palette(labels: int) -> Tensor:
    """A colour for each class, uint8 (K, 3): hues a golden angle apart, at three lightnesses in turn."""
    hues = [(0.618034 * k % 1, (0.45, 0.65, 0.3)[k % 3]) for k in range(labels)]
    colours = [colorsys.hls_to_rgb(hue, lightness, 0.7) for hue, lightness in hues]
    return (torch.tensor(colours) * 255).round().to(torch.uint8)
