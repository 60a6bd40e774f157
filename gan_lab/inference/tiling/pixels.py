"""Images between their stored form, uint8 pixels, and the form that a network sees."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from gan_lab.common.domains import Domain
from gan_lab.common.images import from_pil, to_pil


@dataclass(frozen=True)
class Pixels:
    """Stored pixels, uint8 (C, H, W), that are read by rows as a network sees them (satisfies ``Rows``)."""

    pixels: Tensor
    domain: Domain

    @property
    def channels(self) -> int:
        return self.domain.network_channels

    @property
    def height(self) -> int:
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        return self.pixels.shape[2]

    def read(self, start: int, stop: int) -> Tensor:
        return encode_part(self.domain, self.pixels, start, stop, 0, self.width)


def encode_part(domain: Domain, pixels: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Returns a part of stored pixels (C, H, W) as a network sees it, (1, C', h, w).

    Edges of objects are those in the whole image: they depend on the pixels around the part.
    """
    above, before = (min(1, start) if domain.instances else 0 for start in (top, left))
    around = pixels[None, :, top - above : bottom + domain.instances, left - before : right + domain.instances]
    return domain.encode(around)[..., above : above + bottom - top, before : before + right - left]


class Canvas:
    """Collects a network's output tile by tile in ``pixels``, uint8 (C, H, W) as images of the domain are stored."""

    def __init__(self, domain: Domain, height: int, width: int) -> None:
        self.domain, self.size = domain, (height, width)
        self.pixels = torch.empty(domain.stored_channels, height, width, dtype=torch.uint8)

    def emit(self, start: int, rows: Tensor) -> None:
        """Writes rows (1, C, rows, W) at row ``start``."""
        self.put(start, 0, rows)

    def put(self, top: int, left: int, tile: Tensor) -> None:
        """Writes a tile (1, C, h, w) whose upper left corner is at ``top`` and ``left``."""
        pixels = self.domain.decode(tile)[0].cpu()
        self.pixels[:, top : top + pixels.shape[1], left : left + pixels.shape[2]] = pixels


def resize(pixels: Tensor, size: tuple[int, int], nearest: bool = False) -> Tensor:
    """Resizes uint8 (1 to 3, H, W) to another (H, W) by antialiased bicubic interpolation, or to the nearest pixel."""
    if size == tuple(pixels.shape[1:]):
        return pixels
    if len(pixels) == 2:  # a label map with objects, a mode that Pillow does not have
        return torch.cat([resize(each, size, nearest) for each in pixels.split(1)])
    mode = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    return from_pil(to_pil(pixels).resize((size[1], size[0]), mode))
