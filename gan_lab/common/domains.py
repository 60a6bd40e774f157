"""Domains of image translation."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.images import to_float, to_uint8

UNKNOWN = 255
"""The id of pixels without a class in most public sets of label maps."""


@dataclass(frozen=True)
class Domain:
    """One domain of a translation: images, or label maps.

    Args:
        channels: 1 or 3, for images.
        labels: K, the number of classes of label maps; 0 for images. Label maps are stored as class ids, uint8
            (N, 1, H, W), where other ids than those of the classes mean "no class". Networks get them one-hot.
        ids: the stored id of each class, such as (0, 255); empty for 0 … K - 1.
        unknown: gives networks a channel more, after those of the classes, for pixels without a class.
        instances: label maps are stored with the number of the object that each pixel belongs to, as a second channel,
            uint8; networks get the objects' edges as their last channel.
    """

    channels: int = 3
    labels: int = 0
    ids: Sequence[int] = ()
    unknown: bool = False
    instances: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(self.ids or ()))  # a configuration has a list, or null

    @property
    def class_ids(self) -> Sequence[int]:
        """The stored id of each class."""
        return self.ids or range(self.labels)

    @property
    def stored_channels(self) -> int:
        """The number of channels of the stored uint8 pixels."""
        return 1 + self.instances if self.labels else self.channels

    @property
    def network_channels(self) -> int:
        """The number of channels of a network's input or output."""
        return self.label_channels + self.instances if self.labels else self.channels

    @property
    def label_channels(self) -> int:
        """The number of channels of one-hot label maps: the classes, and perhaps one for pixels without a class."""
        return self.labels + self.unknown if self.labels else 0

    def encode(self, pixels: Tensor) -> Tensor:
        """Maps stored pixels to a network's input.

        Images uint8 (N, C, H, W) become float32 (N, C, H, W) in [-1, 1]; class ids uint8 (N, 1, H, W), or with objects
        (N, 2, H, W), become float32 (N, K, H, W) of 0 and 1, with the channels of ``unknown`` and ``instances``.
        """
        if not self.labels:
            return to_float(pixels)
        one_hot = F.one_hot(self.numbers(pixels), self.labels + 1)[..., : self.label_channels].float()
        maps = one_hot.permute(0, 3, 1, 2)
        return torch.cat([maps, edges(pixels[:, 1:2])], 1) if self.instances else maps

    def decode(self, images: Tensor) -> Tensor:
        """Maps a network's input or output to uint8 pixels as they are stored; inverts ``encode``.

        Images (N, C, H, W) in [-1, 1] become uint8 (N, C, H, W). Label maps (N, K, H, W) become the ids of the most
        likely class, uint8 (N, 1, H, W).
        """
        if not self.labels:
            return to_uint8(images)
        stored = torch.tensor([*self.class_ids, *[UNKNOWN] * self.unknown], device=images.device)
        return stored[images[:, : self.label_channels].argmax(1, keepdim=True)].to(torch.uint8)

    def numbers(self, pixels: Tensor) -> Tensor:
        """Returns the class of each pixel of stored label maps, int64 (N, H, W); K for pixels without one."""
        return self._numbers().to(pixels.device)[pixels[:, 0].long()]

    def _numbers(self) -> Tensor:
        """Returns the class of each id that can be stored, int64 (256,); K for ids without one."""
        numbers = torch.full((256,), self.labels)
        numbers[list(self.class_ids)] = torch.arange(self.labels)
        return numbers

    def visualize(self, images: Tensor) -> Tensor:
        """Maps a network's input or output to images for display.

        Images (N, C, H, W) in [-1, 1] stay as they are. Label maps (N, K, H, W) become RGB images (N, 3, H, W) in
        [-1, 1] with a colour for each class.
        """
        if not self.labels:
            return images
        colours = F.pad(palette(self.labels), (0, 0, 0, int(self.unknown))).to(images.device)  # no class is black
        return to_float(colours[images[:, : self.label_channels].argmax(1)].permute(0, 3, 1, 2))


def edges(objects: Tensor) -> Tensor:
    """Marks pixels next to a pixel of another object (Wang et al. 2018, section 3.3): float32 (N, 1, H, W) of 0 and 1.

    Args:
        objects: the number of the object that each pixel belongs to, (N, 1, H, W).
    """
    found = torch.zeros_like(objects, dtype=torch.bool)
    across, down = objects[..., 1:] != objects[..., :-1], objects[..., 1:, :] != objects[..., :-1, :]
    for side in (found[..., 1:], found[..., :-1]):
        side |= across
    for side in (found[..., 1:, :], found[..., :-1, :]):
        side |= down
    return found.float()


def palette(labels: int) -> Tensor:
    """Returns a colour for each class, uint8 (K, 3): hues a golden angle apart, with three alternating lightnesses."""
    hues = [(0.618034 * k % 1, (0.45, 0.65, 0.3)[k % 3]) for k in range(labels)]
    colours = [colorsys.hls_to_rgb(hue, lightness, 0.7) for hue, lightness in hues]
    return (torch.tensor(colours) * 255).round().to(torch.uint8)
