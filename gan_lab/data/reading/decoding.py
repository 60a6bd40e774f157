"""One picture file, of any mode, as 8-bit pixels."""

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gan_lab.data.reading.pictures import Bytes, Frame

SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


class NoIdsError(Exception):
    """A file that holds colours where class ids are wanted. Its text says what it is."""


def reason(problem: Exception) -> str:
    """Why a file cannot be read, in a line: decoders of damaged ones raise whatever happens to them."""
    if isinstance(problem, UnidentifiedImageError):
        return "no picture, or one of an unknown format"
    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return text.splitlines()[0] if text else type(problem).__name__


def decode(file: BinaryIO, frame: Frame) -> tuple[Bytes, tuple[int, int, str]]:
    """The picture in a file as (C, H, W) uint8 in its frame, and its (width, height, PIL mode) as stored.

    The first frame of an animation; turned as EXIF says; 16-bit grey scaled by its full range; alpha and transparent
    palette entries composited on white. Class ids are taken as they are, and palettes left alone.

    Raises:
        NoIdsError: for colours where the frame wants class ids.
        OSError, ValueError, …: for a file that cannot be read, PIL's limit against decompression bombs included.
    """
    with Image.open(file) as image:
        seen = (*image.size, image.mode)
        if frame.ids:
            check_ids(image)
        elif frame.fixed:
            # a JPEG decodes several times faster at a fraction of its size; twice the box leaves the antialiasing to us
            image.draft(None, (2 * max(frame.box),) * 2)
        upright = _half(ImageOps.exif_transpose(image), frame.half)
        return frame.fit(as_ids(upright) if frame.ids else opaque(eight_bit(upright))), seen


def _half(image: Image.Image, half: str | None) -> Image.Image:
    """The left or right half; of an odd width, without the last column."""
    if half is None:
        return image
    middle = image.width // 2
    left = 0 if half == "left" else middle
    return image.crop((left, 0, left + middle, image.height))


def check_ids(image: Image.Image) -> None:
    """Raises ``NoIdsError`` for a picture, just opened, that holds no class ids."""
    if image.format in ("JPEG", "MPO"):
        raise NoIdsError("a JPEG, which blends class ids")
    if image.mode not in ("1", "L", "P", *SIXTEEN_BIT):
        raise NoIdsError(f"colour-coded ({image.mode})")


def as_ids(image: Image.Image) -> Image.Image:
    """Class ids in mode L; what exceeds 255 becomes 255, and is no class in either."""
    return Image.fromarray(np.asarray(image).astype(np.int64).clip(0, 255).astype(np.uint8))


def eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey → 8-bit grey, 65535 to 255 and rounded; other modes as they are.

    Raises:
        ValueError: for numbers whose range nobody states (floats, 32 bits).
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels without a stated range")
    if image.mode not in SIXTEEN_BIT:
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit pixels without a stated range")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def opaque(image: Image.Image) -> Image.Image:
    """The picture over white where it is transparent."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
