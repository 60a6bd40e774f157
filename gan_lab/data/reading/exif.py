"""EXIF tags of images: orientation, and what can be written again. Damaged tags never make an image unreadable."""

import warnings

from PIL import ExifTags, Image

ORIENTATION = ExifTags.Base.Orientation
TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Operations that bring an image upright, by its EXIF orientation; 1 is upright."""

warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)  # such tags are left out, and images read

SRGB_TAG = 1
"""The tag ColorSpace of images in sRGB."""

FOLDERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
"""Tags that hold further tags."""


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; 1 if the tag is missing, unreadable or not such a number."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged tags raise many kinds of exceptions
        return 1
    return int(value) if value in TRANSPOSITIONS else 1


def upright(image: Image.Image) -> Image.Image:
    """Rotates or mirrors a loaded image by its EXIF orientation."""
    transposition = TRANSPOSITIONS.get(orientation(image))
    return image if transposition is None else image.transpose(transposition)


def writable_tags(image: Image.Image) -> tuple[bytes, str]:
    """Returns the EXIF tags that can be written again, for a copy that is upright and in sRGB.

    Returns:
        The tags, and a remark if some are dropped.
    """
    tags = Image.Exif()
    try:
        tags.load(_stored(image))
        _state_srgb(tags)
    except Exception:  # damaged tags raise many kinds of exceptions
        return b"", "unreadable EXIF tags dropped"
    if ORIENTATION in tags:
        del tags[ORIENTATION]
    if not tags:
        return b"", ""
    try:
        return tags.tobytes(), ""
    except Exception:  # a tag of another type than the standard says
        kept = _writable(tags)
        return kept.tobytes() if kept else b"", "EXIF tags that cannot be written dropped"


def _state_srgb(tags: Image.Exif) -> None:
    """Changes tags that state another colour space."""
    below = tags.get_ifd(ExifTags.IFD.Exif) if ExifTags.IFD.Exif in tags else {}
    if below.get(ExifTags.Base.ColorSpace, SRGB_TAG) != SRGB_TAG:
        below[ExifTags.Base.ColorSpace] = SRGB_TAG
        below.pop(ExifTags.IFD.Interop, None)


def _stored(image: Image.Image) -> bytes:
    """The EXIF bytes of a file; old PNG files hold them as text, after three lines."""
    if "exif" in image.info:
        return bytes(image.info["exif"] or b"")  # None in HEIF files without tags
    return bytes.fromhex("".join(image.info.get("Raw profile type exif", "").split("\n")[3:]))


def _writable(tags: Image.Exif) -> Image.Exif:
    kept = Image.Exif()
    for tag, value in tags.items():
        if tag in FOLDERS:
            below = tags.get_ifd(tag).items()
            value = {key: each for key, each in below if key != ExifTags.IFD.Interop and _can_write(tag, {key: each})}
        if _can_write(tag, value):
            kept[tag] = value
    return kept


def _can_write(tag: int, value: object) -> bool:
    single = Image.Exif()
    single[tag] = value
    try:
        single.tobytes()
    except Exception:  # what Pillow raises depends on the type of the value
        return False
    return True
