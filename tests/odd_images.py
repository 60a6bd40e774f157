"""Image files that real cameras, editors and uploaders leave: damaged and unusual EXIF tags, wide-gamut profiles."""

import struct
from io import BytesIO

from PIL import Image


def xyz(*values):
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


ADOBE_RGB = (0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)
DISPLAY_P3 = (0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)
SRGB = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
WHITE = (0.9642, 1.0, 0.8249)
"""Colorants as profiles hold them: adapted to D50."""


def profile(name="Adobe RGB (1998)", colorants=ADOBE_RGB, gamma=2.2, space=b"RGB "):
    """An ICC profile version 2 of three colorants, or of grey, and a gamma."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 78
    tags = {b"desc": described, b"wtpt": xyz(*WHITE), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= {letter + b"XYZ": xyz(*each) for letter, each in zip((b"r", b"g", b"b"), colorants, strict=True)}
        tags |= {letter + b"TRC": curve for letter in (b"r", b"g", b"b")}
    start, table, body = 132 + 12 * len(tags), b"", b""
    for key, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += key + struct.pack(">II", start + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, b"mntr", space, b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">iii", *(round(each * 65536) for each in WHITE))
    return head + b"\0" * 48 + struct.pack(">I", len(tags)) + table + body


def with_tags(image, payload):
    """A JPEG with these bytes as its APP1 segment."""
    file = BytesIO()
    image.save(file, "JPEG", quality=92)
    data = file.getvalue()
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def directory(*entries, data=b""):
    """EXIF bytes of one directory: each entry is (tag, type, count, 4 bytes)."""
    packed = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0" + data


def tagged(extra=(), gps=()):
    """EXIF bytes with a rotation, a maker's name, and further tags."""
    tags = Image.Exif()
    tags[0x0112], tags[0x010F] = 6, "Maker"
    for tag, value in dict(extra).items():
        tags[tag] = value
    for tag, value in dict(gps).items():
        tags.get_ifd(0x8825)[tag] = value
    return tags.tobytes()


ROTATED = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
ODD_TAGS = {
    "doubled": b"Exif\0\0" + tagged(),
    "empty": b"Exif\0\0",
    "garbage": b"Exif\0\0" + b"\x01" * 40,
    "cut": tagged()[:20],
    "text in a number": directory((0x0100, 2, 4, b"abc\0"), ROTATED),
    "zero denominator": directory((0x011A, 5, 1, struct.pack("<I", 38)), ROTATED, data=struct.pack("<II", 72, 0)),
    "orientation as text": directory((0x0112, 2, 2, b"6\0\0\0")),
    "gps": tagged(gps={2: (1.0, 2.0, 3.0)}),
    "maker note": tagged(extra={0x927C: b"\0\1\2" * 100}),
    "plain": tagged(),
}
"""EXIF segments by what is unusual about them."""
