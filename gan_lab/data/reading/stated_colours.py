"""Colours that a file states in other words than an ICC profile, as profiles.

PNG has the numbers of ITU-T H.273 (cICP), or chromaticities and a gamma (cHRM and gAMA); AVIF and HEIF have such
numbers (nclx). Cameras mark JPEGs in Adobe RGB by a letter in the EXIF tags (DCF 2.0), often without a profile.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from gan_lab.data.reading.colour import SIXTEEN_BIT
from gan_lab.data.reading.exif import SRGB_TAG

D65, DCI_WHITE = (0.3127, 0.3290), (0.314, 0.351)
D50_XYZ = (0.9642, 1.0, 0.8249)
"""White of the space in which profiles state colours."""
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""Parameters g, a, b, c, d of (a x + b)^g, and c x below d (IEC 61966-2-1)."""
SRGB_GAMMA = (0.45, 0.46)
"""Values of gAMA that stand for sRGB's curve: most programs write 0.45455."""
LIKELY_GAMMA = (0.1, 10.0)
"""Others are damaged."""
HDR = {16: "PQ", 18: "HLG"}
"""Transfer curves of H.273 that reach beyond white."""
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
"""Gammas by H.273's number of the transfer curve; pictures with the other curves are shown as if they had sRGB's."""


class Space(NamedTuple):
    """An RGB colour space.

    Args:
        name: for people.
        red, green, blue: chromaticities x and y of the primaries.
        white: chromaticity of white.
        gamma: 0 for sRGB's curve.
    """

    name: str
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float] = D65
    gamma: float = 0.0


SRGB = Space("BT.709", (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
"""sRGB's primaries and curve; ``colour`` would take a profile that is called sRGB for one of its curve."""
ADOBE_RGB = Space("Adobe RGB (1998)", (0.64, 0.33), (0.21, 0.71), (0.15, 0.06), gamma=563 / 256)
NTSC = Space("BT.601, 525 lines", (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
BY_PRIMARIES = {
    1: SRGB,
    5: Space("BT.601, 625 lines", (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: NTSC,
    7: NTSC,
    9: Space("BT.2020", (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Space("DCI-P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060), DCI_WHITE),
    12: Space("Display P3", (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Colour spaces by H.273's number of their primaries; files with other numbers do not state their colours."""


def profile_of(image: Image.Image, file: BinaryIO | None = None) -> tuple[bytes | None, str]:
    """Returns the ICC profile of an image that is loaded: its own, or one of the colours that its file states.

    Args:
        image: as Pillow opened it.
        file: from which it was opened; without it, cICP and the numbers in AVIF are not found.

    Returns:
        The profile, None for sRGB, and a remark for the user, empty if there is nothing to say.
    """
    own, numbers = image.info.get("icc_profile"), _numbers(image, file)
    if own and (numbers is None or image.format != "PNG"):  # only PNG's numbers go before its profile
        return own, ""
    if numbers is None:
        return _profile(_space_of_tags(image), image), ""
    if numbers[1] in HDR:
        return None, f"high dynamic range ({HDR[numbers[1]]}) not mapped to sRGB"
    return _profile(_named(BY_PRIMARIES[numbers[0]], GAMMAS.get(numbers[1], 0.0)), image), ""


def _named(space: Space, gamma: float) -> Space:
    """Returns the space with this gamma, 0 for sRGB's curve."""
    return space._replace(name=f"{space.name} of gamma {gamma:g}", gamma=gamma) if gamma else space


def _profile(space: Space | None, image: Image.Image) -> bytes | None:
    """Returns the profile of a space, None for sRGB; grey has a curve alone."""
    if space is not None and image.mode in ("1", "L", "LA", *SIXTEEN_BIT):
        space = _named(SRGB, space.gamma)
    return None if space in (None, SRGB) else icc_profile(space)


def _numbers(image: Image.Image, file: BinaryIO | None) -> tuple[int, int] | None:
    """Returns H.273's numbers of the primaries and the transfer curve, if a file states known primaries."""
    found: list[tuple[int, int]] = []
    if nclx := image.info.get("nclx_profile"):  # what the plugin for HEIF found
        found.append((nclx["color_primaries"], nclx["transfer_characteristics"]))
    elif file is not None and image.format in ("PNG", "AVIF") and file.seekable():
        file.seek(0)
        if image.format == "PNG":
            found += [(each[0], each[1]) for name, each in _chunks(file) if name == b"cICP" and len(each) == 4]
        else:  # writers put the numbers of the image itself before those of its alpha
            boxes = _boxes(file.read(1 << 16), (b"meta", b"iprp", b"ipco", b"colr"))
            found += [struct.unpack(">HH", each[4:8]) for _, each in boxes if each[:4] == b"nclx" and len(each) >= 8]
    return found[0] if found and found[0][0] in BY_PRIMARIES else None


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yields the chunks of a PNG that come before its pixels; of long ones only the names."""
    file.seek(8, 1)
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        length = int.from_bytes(head[:4], "big")
        yield head[4:], file.read(length) if length < 64 else b""
        file.seek(4 if length < 64 else length + 4, 1)


def _boxes(content: bytes, names: tuple[bytes, ...]) -> Iterator[tuple[bytes, bytes]]:
    """Yields the boxes of an ISO base media file below these names, one in another."""
    place = 0
    while place + 8 <= len(content):
        size, name = struct.unpack(">I4s", content[place : place + 8])
        if size < 8:  # 0: to the end of the file, 1: of more than 4 GiB
            return
        if name == names[0]:
            inside = content[place + (12 if name == b"meta" else 8) : place + size]
            yield from _boxes(inside, names[1:]) if names[1:] else [(name, inside)]
        place += size


def _space_of_tags(image: Image.Image) -> Space | None:
    """Returns the colour space that PNG's numbers or a camera's mark state; None for sRGB."""
    if image.format == "PNG" and "srgb" not in image.info:
        return _space_of_chunks(float(image.info.get("gamma") or 0), image.info.get("chromaticity"))
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB") and _is_marked_as_adobe_rgb(image):
        return ADOBE_RGB
    return None


def _space_of_chunks(gamma: float, x_and_y: tuple[float, ...] | None) -> Space | None:
    """Returns the space of PNG's gAMA and cHRM (x and y of white, red, green and blue); None for sRGB."""
    space = SRGB
    if x_and_y and _are_chromaticities(x_and_y):
        white, red, green, blue = zip(x_and_y[::2], x_and_y[1::2], strict=True)
        if not np.allclose((red, green, blue, white), SRGB[1:5], atol=2e-3):
            space = Space("the PNG file's colours", red, green, blue, white)
    like_srgb = space == SRGB and SRGB_GAMMA[0] <= gamma <= SRGB_GAMMA[1]
    return _named(space, 1 / gamma) if LIKELY_GAMMA[0] <= gamma <= LIKELY_GAMMA[1] and not like_srgb else space


def _are_chromaticities(values: tuple[float, ...]) -> bool:
    """Tells whether eight numbers are white and three primaries that span a triangle around it."""
    points = np.array(values, float).reshape(-1, 2)
    if len(points) != 4 or (points[:, 1] <= 0).any() or (points > 1).any():
        return False
    white, corners = points[0], points[[1, 2, 3, 1]]
    return all(np.linalg.det([after - before, white - before]) > 1e-4 for before, after in pairwise(corners))


def _is_marked_as_adobe_rgb(image: Image.Image) -> bool:
    try:
        tags = image.getexif()
        if tags.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace) == SRGB_TAG:
            return False  # programs that convert to sRGB may leave the mark
        return tags.get_ifd(ExifTags.IFD.Interop).get(1) == "R03"
    except Exception:  # damaged tags raise many kinds of exceptions
        return False


@lru_cache(maxsize=64)
def icc_profile(space: Space) -> bytes:
    """Returns an ICC profile, version 4, of a colour space (ISO 15076-1)."""
    parameters = SRGB_CURVE if not space.gamma else (space.gamma,)
    curve = struct.pack(">4sIHH", b"para", 0, 3 if len(parameters) > 1 else 0, 0) + _fixed(*parameters)
    name = space.name.encode("utf-16-be")
    described = struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(name), 28) + name
    tags = {b"desc": described, b"wtpt": b"XYZ \0\0\0\0" + _fixed(*D50_XYZ)}
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    for key, colorant in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _colorants(space), strict=True):
        tags[key] = b"XYZ \0\0\0\0" + _fixed(*colorant)
    table, body, begin = b"", b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", begin + len(body), len(value))
        body += value + b"\0" * (-len(value) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s", begin + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return head + b"\0" * 28 + _fixed(*D50_XYZ) + b"\0" * 48 + struct.pack(">I", len(tags)) + table + body


def _colorants(space: Space) -> NDArray[np.float64]:
    """Returns XYZ of the primaries, (3, 3), adapted to D50 by Bradford's matrix."""
    primaries = np.array([_xyz(each) for each in (space.red, space.green, space.blue)])
    white = np.array(_xyz(space.white))
    linear = primaries * np.linalg.solve(primaries.T, white)[:, None]
    gains = (BRADFORD @ D50_XYZ) / (BRADFORD @ white)
    adapted: NDArray[np.float64] = linear @ (np.linalg.inv(BRADFORD) @ np.diag(gains) @ BRADFORD).T
    return adapted


def _xyz(chromaticity: tuple[float, float]) -> tuple[float, float, float]:
    x, y = chromaticity
    return x / y, 1.0, (1 - x - y) / y


def _fixed(*values: float) -> bytes:
    """Returns numbers as profiles hold them, in 1/65536."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
