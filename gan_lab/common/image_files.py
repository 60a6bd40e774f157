"""Picture files written."""

from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.domains import Domain
from gan_lab.common.images import to_pil

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".tga": "TGA"},
}
"""Formats that hold what a network makes, by ending; pictures from others are written as PNG."""


SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_deflate"},
    "WEBP": {"lossless": True},
}


ALPHA_FORMATS = ("PNG", "WEBP", "TIFF", "TGA")


EXIF_FORMATS = ("JPEG", "PNG", "WEBP")


def output_suffix(suffix: str, domain: Domain) -> str:
    """The ending of the file that a picture of the domain is written to, made from one of this ending."""
    found = FORMATS.get(suffix.lower())
    return ".png" if found is None or (domain.labels and found == "JPEG") else suffix


def write_image(path: Path, pixels: Tensor, alpha: Image.Image | None = None, exif: bytes = b"") -> list[str]:
    """Writes pixels uint8 (1 or 3, H, W) by the path's ending, with transparency and tags, or nothing.

    Returns what became of alpha and tags, in words.
    """
    image, name = to_pil(pixels), FORMATS[path.suffix.lower()]
    options, told = {**SAVE_OPTIONS.get(name, {})}, []
    if alpha is not None and name in ALPHA_FORMATS:
        image.putalpha(alpha.resize(image.size, Image.Resampling.BICUBIC))
    if alpha is not None:
        told.append("alpha kept" if name in ALPHA_FORMATS else f"alpha left out, for {name} holds none")
    if exif and name in EXIF_FORMATS:
        options["exif"] = exif
    elif exif:
        told.append(f"tags left out of {name}")
    with atomic_write(path, sync=False) as beside:
        image.save(beside, name, **options)
    return told
