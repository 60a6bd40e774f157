"""The part of a photograph that a model sees, and the edited part put back with a soft seam."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.common.errors import UserError
from gan_lab.inference.regions import sized
from gan_lab.inference.tiling.pixels import resize

SEAM = 0.08
"""Width of the seam, as a share of the shorter side of the part."""


@dataclass(frozen=True)
class Part:
    """A rectangle of a photograph, in pixels.

    Args:
        top, left, height, width: of the rectangle.
    """

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: Tensor) -> Tensor:
        """Returns the part (C, height, width) of a photograph (C, H, W)."""
        return pixels[:, self.top : self.top + self.height, self.left : self.left + self.width]

    def seen(self, pixels: Tensor, size: tuple[int, int]) -> Tensor:
        """Returns the part of a photograph (C, H, W), uint8, in another size (C, *size), antialiased."""
        return resize(self.of(pixels), size)

    def put_back(self, pixels: Tensor, edited: Tensor, region: Tensor | None = None) -> Tensor:
        """Returns the photograph (C, H, W), uint8, with an edited part (C, h, w) of any size in its place.

        Towards each side that is no side of the photograph the part fades into what was there.

        Args:
            pixels: the photograph.
            edited: uint8 (C, h, w).
            region: 1 where the part changes, (1, 1, h', w'); None for everywhere.
        """
        part, before = resize(edited, (self.height, self.width)).float(), self.of(pixels).float()
        weights = self.weights(pixels.shape[1], pixels.shape[2])
        if region is not None:
            weights = weights * sized(region.cpu(), (self.height, self.width))[0, 0].clamp(0, 1)
        mixed = torch.lerp(before, part, weights)
        result = pixels.clone()
        self.of(result).copy_(mixed.round().clamp(0, 255).to(torch.uint8))
        return result

    def weights(self, height: int, width: int) -> Tensor:
        """Returns the weights (height of the part, width of the part) in [0, 1] of the part in the photograph."""
        seam = max(1, round(SEAM * min(self.height, self.width)))
        rows = _ramp(self.height, seam, self.top > 0, self.top + self.height < height)
        columns = _ramp(self.width, seam, self.left > 0, self.left + self.width < width)
        return rows[:, None] * columns


def _ramp(length: int, seam: int, at_begin: bool, at_end: bool) -> Tensor:
    """Returns weights (length,) that rise from 0 over the seam, as a half cosine, at the given ends."""
    places = torch.arange(length) + 0.5
    weights = torch.ones(length)
    for fades, distance in ((at_begin, places), (at_end, length - places)):
        if fades:
            weights = weights * (0.5 - 0.5 * torch.cos(torch.pi * (distance / seam).clamp(max=1)))
    return weights


def part_of(height: int, width: int, size: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> Part:
    """Returns the part of a photograph that a model sees.

    Args:
        height, width: of the photograph, in pixels.
        size: height and width of the model's images.
        box: left, top, right, bottom in pixels; None for the largest rectangle of the model's shape in the middle.

    Raises:
        UserError: for a box that is empty, or reaches beyond the photograph.
    """
    if box is not None:
        left, top, right, bottom = box
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise UserError(f"box={','.join(map(str, box))} does not lie in an image of {width}×{height} px.")
        return Part(top, left, bottom - top, right - left)
    scale = min(height / size[0], width / size[1])
    own = min(height, round(size[0] * scale)), min(width, round(size[1] * scale))
    return Part((height - own[0]) // 2, (width - own[1]) // 2, *own)
