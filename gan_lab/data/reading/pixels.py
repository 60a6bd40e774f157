"""Between Pillow images and arrays with the channels first."""

import numpy as np
from PIL import Image

from gan_lab.data.types import UInt8Array


def to_image(pixels: UInt8Array) -> Image.Image:
    """Returns a Pillow image, given uint8 (1 or 3, H, W)."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def from_image(image: Image.Image) -> UInt8Array:
    """Returns uint8 (1 or 3, H, W), given a Pillow image in mode L or RGB."""
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
