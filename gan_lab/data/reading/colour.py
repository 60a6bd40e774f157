"""Pixels of any Pillow mode, brought to 8 bits, to an opaque image and to sRGB."""

from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
UNUSABLE_PROFILE = "unusable colour profile ignored"
SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""Pillow modes by the colour spaces that ICC profiles name."""

SAME = 1
"""Largest difference, in levels of 255, between a profile's colours and sRGB at which nothing is converted."""


class ToSRGB(NamedTuple):
    """A conversion to sRGB.

    Args:
        transform: from Pillow mode ``mode`` to RGB; None if pixels stay as they are.
        mode: the Pillow mode of the profile's colour space.
        note: a remark for the user; empty if there is nothing to say.
    """

    transform: ImageCms.ImageCmsTransform | None
    mode: str
    note: str


def eight_bit(image: Image.Image) -> Image.Image:
    """Converts 16-bit grey to 8-bit grey, 65535 to 255 and rounded; returns other modes unchanged.

    Raises:
        ValueError: for floating-point and 32-bit pixels, because their range is unknown.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels without a stated range")
    if image.mode not in SIXTEEN_BIT:
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit pixels without a stated range")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def over_white(image: Image.Image) -> Image.Image:
    """Composites transparent parts over white; returns opaque images unchanged."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """Converts an 8-bit opaque image from its embedded ICC profile to sRGB.

    Grey stays grey. An image without a profile, with one of sRGB, or with one that cannot be used keeps its pixels.

    Returns:
        The image, and a remark for the user, empty if there is nothing to say.
    """
    if not profile or image.mode == "1":  # black and white are the same under every profile
        return image, ""
    known = _conversion(bytes(profile))
    if known.transform is None:
        return image, known.note
    grey = image.mode == "L"
    if (known.mode == "L" and not grey) or (known.mode in ("CMYK", "LAB") and image.mode != known.mode):
        return image, UNUSABLE_PROFILE
    if known.mode == "RGB" and image.mode in ("CMYK", "LAB"):
        return image, UNUSABLE_PROFILE
    converted = known.transform.apply(image if image.mode == known.mode else image.convert(known.mode))
    return converted.convert("L") if grey else converted, known.note


@lru_cache(maxsize=64)
def _conversion(profile: bytes) -> ToSRGB:
    """Builds the conversion once for each profile: parsing one takes longer than applying it to a small image."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if "srgb" in name.lower():
            return ToSRGB(None, "RGB", "")
        mode = SPACES[source.profile.xcolor_space.strip()]
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, KeyError, OSError):
        return ToSRGB(None, "RGB", UNUSABLE_PROFILE)
    if mode == "RGB" and _is_identity(transform):
        return ToSRGB(None, mode, "")
    return ToSRGB(transform, mode, f"colour profile {name} converted to sRGB")


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Tells whether a transform leaves a grid of RGB colours as they are: small sRGB profiles have other names."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    converted = np.asarray(transform.apply(Image.fromarray(grid)))
    return bool(np.abs(converted.astype(int) - grid).max() <= SAME)
