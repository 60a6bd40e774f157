"""One picture file, of any mode, as 8-bit pixels."""

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from gan_lab.data.pictures import Bytes, Frame

SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def decode(file: BinaryIO, frame: Frame) -> tuple[Bytes, tuple[int, int, str]]:
    """The picture in a file as (C, *box) uint8, and its (width, height, PIL mode) as stored.

    The first frame of an animation; turned as EXIF says; 16-bit grey scaled by its full range; alpha and transparent
    palette entries composited on white; scaled to cover the box, antialiased, and cut at the centre.

    Raises:
        OSError, ValueError, …: for a file that cannot be read, PIL's limit against decompression bombs included.
    """
    with Image.open(file) as image:
        seen = (*image.size, image.mode)
        # a JPEG decodes several times faster at a fraction of its size; twice the box leaves the antialiasing to us
        image.draft(None, (2 * max(frame.box),) * 2)
        return frame.fit(opaque(eight_bit(ImageOps.exif_transpose(image)))), seen


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
