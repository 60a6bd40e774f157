"""Images of 16 bits, read with all their levels, for what edits them."""

import warnings

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_lab.common.png import SIGNATURE

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey, of ITU-R BT.601, as Pillow has them."""


def sixteen_bits(data: bytes, image: Image.Image, channels: int) -> Tensor | None:
    """Returns the levels of an image, int32 (channels, H, W) in [0, 65535]; None for what cannot be read so.

    Grey images can be read, and colours of PNG files. Transparency is left out.

    Args:
        data: the file.
        image: the same, opened by Pillow.
        channels: 1 or 3.
    """
    if image.mode.startswith("I;16"):
        levels = torch.from_numpy(np.asarray(image).astype(np.int32))[None]
    elif data.startswith(SIGNATURE):
        from torchvision.io import ImageReadMode, decode_png  # torchvision is slow to import

        with warnings.catch_warnings():  # bytes are not writable, and nothing writes to them
            warnings.simplefilter("ignore")
            decoded = decode_png(torch.frombuffer(data, dtype=torch.uint8), ImageReadMode.UNCHANGED)
        if decoded.dtype != torch.uint16:
            return None
        levels = decoded[: len(decoded) - (len(decoded) + 1) % 2].to(torch.int32)  # without alpha, which is opaque
    else:
        return None
    if channels == 1 and len(levels) == 3:
        grey = (levels.double() * torch.tensor(LUMA, dtype=torch.float64).view(3, 1, 1)).sum(0, keepdim=True)
        return grey.round().to(torch.int32)
    return levels.expand(channels, -1, -1).contiguous()
