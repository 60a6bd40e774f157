"""Writing of image files in the format of the input."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.domains import Domain
from gan_lab.common.images import PNG_LEVEL, of_eight_bits, png_options, to_pil
from gan_lab.common.png import write_png16

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".tga": "TGA"},
}
"""Formats that can store a network's output, by suffix; results from other inputs are written as PNG."""

SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "TIFF": {"compression": "tiff_deflate"},
    "WEBP": {"lossless": True},
}
"""Options of ``PIL.Image.save``, by format."""

ALPHA_FORMATS = ("PNG", "WEBP", "TIFF", "TGA")
"""Formats that store transparency."""

EXIF_FORMATS = ("JPEG", "PNG", "WEBP")
"""Formats whose Exif tags are kept."""

REDUCED = "16 bits reduced to 8"
"""A note on levels that are lost."""

MAX_JPEG_EXIF = 65_533
"""Bytes of Exif tags that fit in a JPEG."""


def output_suffix(suffix: str, domain: Domain) -> str:
    """Returns the suffix of an output file of a domain, for an input file with ``suffix``.

    It is the same suffix if its format can store the output without loss of meaning (label maps need a lossless one),
    else .png.
    """
    image_format = FORMATS.get(suffix.lower())
    return ".png" if image_format is None or (domain.labels and image_format == "JPEG") else suffix


def write_image(
    path: Path, pixels: Tensor, alpha: Image.Image | None = None, exif: bytes = b"", compression: int = PNG_LEVEL
) -> list[str]:
    """Writes an image file atomically, in the format of the path's suffix.

    Args:
        path: the output file.
        pixels: uint8 (1 or 3, H, W), or int32 in [0, 65535] for 16 bits, which PNG files keep.
        alpha: transparency, resized to the image and kept if the format can store it.
        exif: Exif tags, kept if the format is one of ``EXIF_FORMATS``.
        compression: of PNG files, 0 to 9.

    Returns:
        notes on what happened to levels, transparency and tags.
    """
    image_format, notes = FORMATS[path.suffix.lower()], []
    if pixels.dtype != torch.uint8 and image_format == "PNG" and alpha is None:
        with atomic_write(path, sync=False) as temporary:
            write_png16(temporary, pixels, exif, compression)
        return []
    if pixels.dtype != torch.uint8:
        notes.append(REDUCED)
    image, options = to_pil(of_eight_bits(pixels)), {**SAVE_OPTIONS.get(image_format, {})}
    options |= png_options(compression) if image_format == "PNG" else {}
    if alpha is not None and image_format in ALPHA_FORMATS:
        image.putalpha(alpha.resize(image.size, Image.Resampling.BICUBIC))
    if alpha is not None:
        notes.append("alpha kept" if image_format in ALPHA_FORMATS else f"{image_format} cannot store alpha")
    if exif and image_format == "JPEG" and len(exif) > MAX_JPEG_EXIF:
        notes.append("EXIF tags dropped: JPEG has no room for them")
    elif exif and image_format in EXIF_FORMATS:
        options["exif"] = exif
    elif exif:
        notes.append(f"tags not written to {image_format}")
    with atomic_write(path, sync=False) as temporary:
        image.save(temporary, image_format, **options)
    return notes
