"""One reader of image files for training, evaluation, translation and reconstruction.

Every image is rotated as its EXIF tag says, reduced to 8 bits, composited over white where it is transparent, and
converted from its colour profile to sRGB.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gan_lab.common.class_names import listed
from gan_lab.common.domains import UNKNOWN, Domain
from gan_lab.common.image_files import REDUCED
from gan_lab.common.images import from_pil
from gan_lab.data.reading.colour import SIXTEEN_BIT, eight_bit, over_white, to_srgb
from gan_lab.data.reading.exif import orientation, upright, writable_tags
from gan_lab.data.reading.image_sets import DecodedImage
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.sixteen_bits import sixteen_bits
from gan_lab.data.reading.stated_colours import profile_of

READER = 3
"""Version of the computation from file to pixels, a part of the key of cached pixels: increment it when pixels change.

Version 2 converts colour profiles for training, evaluation and reconstruction too; version 3 converts colours that
files state without a profile.
"""

GREY_MODES = ("1", "L", "LA", *SIXTEEN_BIT)
"""Pillow modes of images that are stored in grey."""

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # sizes are checked here, as an error
_PILLOW_LIMIT = Lock()


class NotLabelMapError(Exception):
    """Raised for a file that holds colours where class ids are expected. The text says what the file is."""


@dataclass
class OpenedImage:
    """An upright image.

    Args:
        image: 8 bits, opaque, in a Pillow mode that converts to L and RGB; class ids in mode L.
        width, height, mode: size and Pillow mode as stored in the file.
        alpha: transparency of the same size, if it was asked for and the image has any.
        exif: tags that can be written again, without the orientation, if they were asked for.
        notes: conversions and problems, in words.
        plain: nothing but the number of bits was changed: it is opaque, upright, and in sRGB.
    """

    image: Image.Image
    width: int
    height: int
    mode: str
    alpha: Image.Image | None = None
    exif: bytes = b""
    notes: list[str] = field(default_factory=list)
    plain: bool = False


@dataclass
class LoadedImage:
    """An image as a model takes it, with what an edited copy of it keeps.

    Args:
        pixels: uint8 (C, H, W); class ids (1, H, W) for label maps.
        alpha: transparency of the same size, or None.
        exif: EXIF tags without the orientation, which is applied.
        notes: conversions and problems, in words.
        levels: int32 (C, H, W) in [0, 65535], the same with all levels of an image of 16 bits; None for others.
    """

    pixels: Tensor
    alpha: Image.Image | None = None
    exif: bytes = b""
    notes: list[str] = field(default_factory=list)
    levels: Tensor | None = None


def open_image(
    file: BinaryIO,
    label_map: bool = False,
    reduce_to: int | None = None,
    details: bool = False,
    max_pixels: int | None = None,
) -> OpenedImage:
    """Opens, checks, rotates and converts an image: the only way from a file to pixels.

    Animations give their first frame. 16-bit grey is scaled by its full range. Class ids are taken as they are.

    Args:
        file: an image in any format that Pillow reads.
        label_map: pixels are class ids.
        reduce_to: allows the JPEG decoder to reduce an image by a whole factor to no less than this many pixels a side.
        details: also collect alpha, EXIF tags and a note of every conversion.
        max_pixels: limit of the size, against decompression bombs; None stands for Pillow's, 178,956,970.

    Raises:
        NotLabelMapError: for colours in a label map.
        OSError, ValueError, …: for a file that cannot be read, or has more pixels than the limit.
    """
    with _limited(max_pixels), Image.open(file) as image:
        _check_pixels(image, max_pixels)
        stored = (*image.size, image.mode)
        notes = list(_before_decoding(image)) if details else []
        if label_map:
            check_label_map(image)
        elif reduce_to is not None:
            image.draft(None, (reduce_to, reduce_to))
        image.load()
        if details and orientation(image) != 1:  # asking before would decode some PNG files, and hide what is wrong
            notes.append("rotated as EXIF says")
        turned = upright(image)
        exif, dropped = writable_tags(image) if details else (b"", "")
        if label_map:
            return OpenedImage(class_ids(turned), *stored, exif=exif, notes=[*notes, *filter(None, [dropped])])
        alpha = turned.convert("RGBA").getchannel("A") if details and turned.has_transparency_data else None
        plain, said, converted = plain_colours(turned, *profile_of(image, file))
    unchanged = turned is image and not converted and (alpha is None or alpha.getextrema() == (255, 255))
    return OpenedImage(plain, *stored, alpha, exif, [*notes, *filter(None, [dropped, said])], unchanged)


def _check_pixels(image: Image.Image, most: int | None) -> None:
    if most is not None and image.width * image.height > most:
        raise Image.DecompressionBombError


def plain_colours(image: Image.Image, profile: bytes | None, note: str = "") -> tuple[Image.Image, str, bool]:
    """Brings a decoded image to 8 bits, over white and to sRGB, in a mode that converts to L and RGB.

    Args:
        image: any image that is loaded.
        profile: see ``stated_colours.profile_of``.
        note: a remark about its colours.

    Returns:
        The image; the remark, or another about its colour profile, empty if there is nothing to say; and whether its
        colours were converted.

    Raises:
        ValueError: for pixels without a known range.
    """
    opaque = over_white(eight_bit(image))
    plain, said = to_srgb(opaque, profile)
    return plain.convert("RGB") if plain.mode == "LAB" else plain, note or said, plain is not opaque


@contextmanager
def _limited(max_pixels: int | None) -> Iterator[None]:
    """Reports decompression bombs in one sentence; lifts Pillow's limit, which is the whole process's, if need be."""
    with _PILLOW_LIMIT:  # another thread may have lifted it
        before = Image.MAX_IMAGE_PIXELS
    lift = max_pixels is not None and before is not None and max_pixels > 2 * before
    try:
        if not lift:
            yield
            return
        with _PILLOW_LIMIT:
            try:
                Image.MAX_IMAGE_PIXELS = max_pixels
                yield
            finally:
                Image.MAX_IMAGE_PIXELS = before
    except Image.DecompressionBombError as error:
        stated = f"max_pixels={max_pixels}" if max_pixels is not None else f"{2 * (before or 0):,}"
        raise ValueError(f"more than {stated} pixels, a possible decompression bomb") from error


def _before_decoding(image: Image.Image) -> Iterator[str]:
    """Yields notes on an image that is open but not decoded."""
    if _num_frames(image) > 1:
        yield "first of several frames"
    if image.mode in SIXTEEN_BIT or any(";16" in str(tile.args) for tile in getattr(image, "tile", ())):
        yield REDUCED


def _num_frames(image: Image.Image) -> int:
    """The number of frames; 1 if those after the first are damaged, because they are not needed."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # decoders raise many kinds of exceptions for damaged files
        image.seek(0)
        return 1


def read_image(file: BinaryIO, domain: Domain, max_pixels: int | None = None, all_levels: bool = False) -> LoadedImage:
    """Reads an image at its own size, as images of the domain are stored, with alpha and tags for an edited copy.

    Args:
        file: an image in any format that Pillow reads.
        domain: what a model takes.
        max_pixels: see ``open_image``.
        all_levels: also return the levels of an image of 16 bits, if nothing but its bits would be changed: it is
            opaque and upright, and has no colour profile other than sRGB.

    Raises:
        NotLabelMapError: for colours if the domain has class ids.
        OSError, ValueError, …: for a file that cannot be read, or has more pixels than the limit.
    """
    opened = open_image(file, label_map=domain.labels > 0, details=True, max_pixels=max_pixels)
    if domain.labels:
        ids = from_pil(opened.image)
        return LoadedImage(ids, None, opened.exif, [*opened.notes, *_ids_note(ids, domain)])
    mode = "RGB" if domain.channels == 3 else "L"
    levels = _levels(file, domain.channels) if all_levels and opened.plain and REDUCED in opened.notes else None
    notes = [*opened.notes, *_mode_note(opened.mode, mode)]
    if levels is not None:
        notes.remove(REDUCED)
    alpha = opened.alpha if levels is None else None
    return LoadedImage(from_pil(opened.image.convert(mode)), alpha, opened.exif, notes, levels)


def _levels(file: BinaryIO, channels: int) -> Tensor | None:
    """Returns all levels of a file of 16 bits that was read before; see ``sixteen_bits``."""
    file.seek(0)
    data = file.read()
    with Image.open(BytesIO(data)) as image:
        return sixteen_bits(data, image, channels)


def _ids_note(ids: Tensor, domain: Domain) -> Iterator[str]:
    """Yields a note if class ids (1, H, W) are no ids of the domain's classes, nor those that usually mean no class."""
    unknown = {0, UNKNOWN} if domain.unknown else set()
    foreign = sorted(set(ids.unique().tolist()) - set(domain.class_ids) - unknown)
    if foreign:
        yield f"pixels with the ids {listed([*map(str, foreign)])}, which are no class of the model"


def _mode_note(stored: str, mode: str) -> Iterator[str]:
    """Yields a note if colours become grey, grey becomes colours, or another colour space becomes either."""
    if stored in ("CMYK", "LAB", "YCbCr", "HSV"):
        yield f"converted from {stored} to {mode}"
    grey = stored in GREY_MODES
    if grey and mode == "RGB":
        yield "converted from grey to RGB"
    if not grey and mode == "L":
        yield "converted from colour to grey"


def decode_image(file: BinaryIO, spec: ResizeSpec) -> DecodedImage:
    """Reads an image at the size and with the channels of the spec, as training and evaluation see it.

    A JPEG may be reduced by its decoder, see ``ResizeSpec.shortcut``.

    Raises:
        NotLabelMapError: for colours if class ids are expected.
        OSError, ValueError, …: for a file that cannot be read, decompression bombs included.
    """
    reduce_to = 2 * max(spec.target_size) if spec.fixed_size and spec.shortcut else None  # for antialiased resizing
    opened = open_image(file, label_map=spec.label_map, reduce_to=reduce_to)
    pixels = spec.apply(_half(opened.image, spec.half))
    return DecodedImage(pixels, opened.width, opened.height, opened.mode, tuple(opened.notes))


def _half(image: Image.Image, half: str | None) -> Image.Image:
    """Returns the left or right half; the last column of an odd width is left out."""
    if half is None:
        return image
    middle = image.width // 2
    left = 0 if half == "left" else middle
    return image.crop((left, 0, left + middle, image.height))


def check_label_map(image: Image.Image) -> None:
    """Checks that an open image can hold class ids.

    Raises:
        NotLabelMapError: for colours, and for JPEG, which blends neighbouring ids.
    """
    if image.format in ("JPEG", "MPO"):
        raise NotLabelMapError("a JPEG, which blends class ids")
    if image.mode not in ("1", "L", "P", *SIXTEEN_BIT):
        raise NotLabelMapError(f"colour-coded ({image.mode})")


def class_ids(image: Image.Image) -> Image.Image:
    """Returns class ids in mode L; ids above 255 become 255, which is no class either."""
    return Image.fromarray(np.asarray(image).astype(np.int64).clip(0, 255).astype(np.uint8))


def reason(problem: Exception) -> str:
    """Says in one line why a file cannot be read: decoders raise many kinds of exceptions for damaged files."""
    if isinstance(problem, UnidentifiedImageError):
        return "no image, or one of an unknown format"
    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return text.splitlines()[0] if text else type(problem).__name__
