"""Restoration of images of any size, for models with the capability ``Repairs``."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.bounds import Bounds
from gan_lab.common.capabilities import Repairs
from gan_lab.common.errors import UserError
from gan_lab.common.images import from_levels, reflect_pad, round_up, to_levels
from gan_lab.common.progress import track
from gan_lab.inference.filling import enlarged, shrunk, windows

Enlargement = Annotated[float, Bounds(1, 16)]

TILE = 768
"""Side of the tiles, in pixels of the damaged image: larger ones take more memory, smaller ones more time."""


class PhotoRestorer:
    """Restores images of any size; large ones in tiles, whose result is that of the whole image.

    Example: ``clean = PhotoRestorer(gan_lab.load("last.ckpt"))(pixels)``

    Args:
        model: the model, on the device that is to compute.
        tile: side of the tiles in pixels; "auto" tiles large images, None tiles none.
        factor: sides of the result in sides of the image, 1 to 16, for models that enlarge: they are applied as often
            as it takes, and what is too large is reduced by bicubic interpolation. None takes the model's factor.

    Raises:
        UserError: for another value of ``tile``, and for a factor of a model that keeps the size.
    """

    def __init__(self, model: Repairs, tile: int | str | None = "auto", factor: Enlargement | None = None) -> None:
        if factor is not None and model.factor == 1:
            raise UserError("This model keeps the size of images: leave out factor=, or take one that enlarges.")
        if tile not in ("auto", None) and (not isinstance(tile, int) or tile < 1):
            raise UserError(f"tile={tile} is not valid: give auto, null, or a number of pixels such as 512.")
        self.model, self.tile, self.enlargement = model, tile, factor
        self.device = torch.device(getattr(model, "device", "cpu"))

    @torch.no_grad()
    def __call__(self, pixels: Tensor, known: Tensor | None = None) -> Tensor:
        """Returns the restored image (C, factor · H, factor · W), with as many levels as the damaged one.

        Args:
            pixels: the damaged image (C, H, W), uint8, or int32 in [0, 65535] for 16 bits.
            known: uint8 (1, H, W), 1 at known pixels, which come back as they are, and 0 at those to be filled; only
                for models that fill pixels.

        Raises:
            UserError: if the model fills pixels and is not told which are known, or they have another size.
        """
        if self.model.masks and known is None:
            raise UserError("This model fills unknown pixels: give a mask.")
        if known is not None and known.shape[1:] != pixels.shape[1:]:
            sizes = [f"{each.shape[2]}×{each.shape[1]}" for each in (known, pixels)]
            raise UserError(f"The mask has {sizes[0]} px and the image {sizes[1]}: give a mask of the image's size.")
        if known is not None and self.model.receptive_radius is None:
            return self._fill(pixels, known)
        wanted = [max(1, round((self.enlargement or self.model.factor) * side)) for side in pixels.shape[1:]]
        result = self._whole(pixels, known)
        while any(side < least for side, least in zip(result.shape[1:], wanted, strict=True)):
            result = self._whole(result, None)
        return result if list(result.shape[1:]) == wanted else reduced(result, wanted)

    def _whole(self, pixels: Tensor, known: Tensor | None) -> Tensor:
        """Returns a restored image (C, factor · H, factor · W)."""
        height, width = pixels.shape[1:]
        size = self._padded(height), self._padded(width)
        padded = reflect_pad(pixels, size)
        seen = None if known is None else reflect_pad(known, size)
        result = torch.empty(len(pixels), *(self.model.factor * side for side in size), dtype=pixels.dtype)
        for top, bottom, left, right in self._tiles(*size):
            self._restore(padded, seen, (top, bottom, left, right), result)
        result = result[:, : self.model.factor * height, : self.model.factor * width]
        return result if known is None else torch.where(known.bool(), pixels, result)

    def _fill(self, pixels: Tensor, known: Tensor) -> Tensor:
        """Fills unknown pixels in windows around them."""
        result = pixels.clone()
        parts = list(windows(known))
        for rows, columns in track(parts, "Windows", len(parts), show=len(parts) > 1):
            part, seen = pixels[None, :, rows, columns], known[None, :, rows, columns].to(self.device).float()
            small, small_known = shrunk(from_levels(part.to(self.device)), seen)
            height, width = small.shape[2:]
            size = self._padded(height), self._padded(width)
            filled = self.model.repair(reflect_pad(small, size), reflect_pad(small_known, size))[..., :height, :width]
            made = to_levels(enlarged(filled, part.shape[2:]), pixels.dtype).cpu()
            result[:, rows, columns] = torch.where(known[:, rows, columns].bool(), part[0], made[0])
        return result

    def _padded(self, side: int) -> int:
        """Returns the side that a network gets: networks reflect their smallest maps, which takes two pixels."""
        return max(2 * self.model.multiple, round_up(side, self.model.multiple))

    def _tiles(self, height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
        """Yields top, bottom, left and right of the tiles; of all at once if the model must see the whole image."""
        side = TILE if self.tile == "auto" else self.tile
        if self.model.receptive_radius is None or not isinstance(side, int):
            side = max(height, width)
        side = round_up(side, self.model.multiple)
        corners = [(top, left) for top in range(0, height, side) for left in range(0, width, side)]
        for top, left in track(corners, "Tiles", len(corners), show=len(corners) > 1):
            yield top, min(top + side, height), left, min(left + side, width)

    def _restore(self, pixels: Tensor, known: Tensor | None, tile: tuple[int, int, int, int], result: Tensor) -> None:
        """Restores a tile, given the pixels around it that its result depends on."""
        top, bottom, left, right = tile
        receptive_radius = round_up(self.model.receptive_radius or 0, self.model.multiple)
        above, before = max(0, top - receptive_radius), max(0, left - receptive_radius)
        rows, columns = slice(above, bottom + receptive_radius), slice(before, right + receptive_radius)
        part = from_levels(pixels[None, :, rows, columns].to(self.device))
        seen = None if known is None else known[None, :, rows, columns].to(self.device).float()
        found = to_levels(self.model.repair(part, seen), pixels.dtype)[0].cpu()
        factor = self.model.factor
        inner = found[
            :,
            factor * (top - above) : factor * (bottom - above),
            factor * (left - before) : factor * (right - before),
        ]
        result[:, factor * top : factor * bottom, factor * left : factor * right] = inner


def reduced(pixels: Tensor, size: Sequence[int]) -> Tensor:
    """Returns an image (C, H, W) in a smaller size (h, w), with as many levels."""
    smaller = F.interpolate(from_levels(pixels[None]), tuple(size), mode="bicubic", antialias=True)
    return to_levels(smaller, pixels.dtype)[0]
