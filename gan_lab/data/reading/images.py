"""Anybody's picture files: of any mode, turned, tagged and profiled, to plain pixels and back to files."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from PIL import ExifTags, Image, ImageCms, ImageOps
from torch import Tensor

from gan_lab.common.domains import Domain
from gan_lab.common.images import from_pil
from gan_lab.data.reading.decoding import SIXTEEN_BIT, as_ids, check_ids, eight_bit, opaque


@dataclass
class Photo:
    """A picture as a model takes it, and what goes with it.

    Args:
        pixels: uint8 (C, H, W), of a label map ids (1, H, W).
        alpha: its transparency, of the same size.
        exif: its tags, the orientation taken out, for it is applied.
        told: what had to be done to it, in words.
    """

    pixels: Tensor
    alpha: Image.Image | None = None
    exif: bytes = b""
    told: list[str] = field(default_factory=list)


def read(file: BinaryIO, domain: Domain, max_pixels: int) -> Photo:
    """The picture in a file as pictures of the domain are stored.

    Colours are brought to sRGB and 8 bits; what is transparent lies on white, as in training, and its alpha is kept.

    Raises:
        OSError, ValueError, …: for a file that cannot be read, or has more pixels than ``max_pixels``.
    """
    with _limit(max_pixels), Image.open(file) as image:
        if domain.labels:
            check_ids(image)
        told = list(_peculiar(image))
        image.load()
        turned = ImageOps.exif_transpose(image)
    exif = turned.getexif().tobytes() if turned.getexif() else b""
    if domain.labels:
        return Photo(from_pil(as_ids(turned)), exif=exif, told=told)
    alpha = turned.convert("RGBA").getchannel("A") if turned.has_transparency_data else None
    plain, more = _plain(turned, "RGB" if domain.channels == 3 else "L")
    return Photo(from_pil(plain), alpha, exif, told + more)


def _peculiar(image: Image.Image) -> Iterator[str]:
    """What is seen of a picture before its pixels are read."""
    if getattr(image, "n_frames", 1) > 1:
        yield "first of several frames"
    if image.mode in SIXTEEN_BIT or any(";16" in str(tile.args) for tile in getattr(image, "tile", ())):
        yield "16 bits brought to 8"
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        yield "turned as EXIF says"


@contextmanager
def _limit(pixels: int) -> Iterator[None]:
    """PIL's guard against decompression bombs, at this size, and as an error; it is the process's own, so put back."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(f"more than max_pixels={pixels} pixels") from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _plain(image: Image.Image, mode: str) -> tuple[Image.Image, list[str]]:
    """8-bit sRGB or grey, without alpha; and what was done for that."""
    told = [f"{image.mode} brought to {mode}"] if image.mode in ("CMYK", "LAB", "YCbCr", "HSV") else []
    told += ["grey brought to RGB"] if mode == "RGB" and image.mode in ("1", "L", "LA", *SIXTEEN_BIT) else []
    told += ["colours brought to grey"] if mode == "L" and image.mode not in ("1", "L", "LA", *SIXTEEN_BIT) else []
    profile = image.info.get("icc_profile")
    image = opaque(eight_bit(image))
    if profile:
        image, more = _to_srgb(image if image.mode in ("L", "CMYK", "LAB") else image.convert("RGB"), profile)
        told += more
    return image.convert(mode), told


def _to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, list[str]]:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if "srgb" in name.lower():
            return image, []
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image, ["colour profile ignored, for it does not serve"]
    return converted or image, [f"colour profile {name} brought to sRGB"]
