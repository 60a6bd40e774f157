"""Anybody's picture files: of any mode, turned, tagged and profiled, to plain pixels and back to files."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image, ImageCms, ImageOps
from torch import Tensor

from gan_lab.atomic import replacing
from gan_lab.data.decoding import SIXTEEN_BIT, as_ids, check_ids, eight_bit, opaque
from gan_lab.imaging import from_pil, to_pil
from gan_lab.types import Domain

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".tga": "TGA"},
}
"""Formats that hold what a network makes, by ending; pictures from others are written as PNG."""
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_deflate"},
    "WEBP": {"lossless": True},
}
TRANSPARENT = ("PNG", "WEBP", "TIFF", "TGA")
TAGGED = ("JPEG", "PNG", "WEBP")


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


def ending(suffix: str, domain: Domain) -> str:
    """The ending of the file that a picture of the domain is written to, made from one of this ending."""
    found = FORMATS.get(suffix.lower())
    return ".png" if found is None or (domain.labels and found == "JPEG") else suffix


def write(path: Path, pixels: Tensor, alpha: Image.Image | None = None, exif: bytes = b"") -> list[str]:
    """Writes pixels uint8 (1 or 3, H, W) by the path's ending, with transparency and tags, or nothing.

    Returns what became of alpha and tags, in words.
    """
    image, name = to_pil(pixels), FORMATS[path.suffix.lower()]
    options, told = {**OPTIONS.get(name, {})}, []
    if alpha is not None and name in TRANSPARENT:
        image.putalpha(alpha.resize(image.size, Image.Resampling.BICUBIC))
    if alpha is not None:
        told.append("alpha kept" if name in TRANSPARENT else f"alpha left out, for {name} holds none")
    if exif and name in TAGGED:
        options["exif"] = exif
    elif exif:
        told.append(f"tags left out of {name}")
    with replacing(path, sync=False) as beside:
        image.save(beside, name, **options)
    return told
