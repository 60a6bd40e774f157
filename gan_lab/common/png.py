"""PNG files of 16 bits, which Pillow writes in grey alone (PNG specification, third edition, 2025)."""

import struct
import zlib
from pathlib import Path

import numpy as np
from torch import Tensor

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPE = {1: 0, 3: 2}
"""Colour types by the number of channels."""
UP = 2
"""Filter of rows: the difference from the row above, byte by byte."""


def write_png16(path: Path, pixels: Tensor, exif: bytes, compression: int) -> None:
    """Writes levels as a PNG file of 16 bits.

    Args:
        path: of the file.
        pixels: integers (1 or 3, H, W) in [0, 65535].
        exif: Exif tags, or nothing.
        compression: 0 to 9.
    """
    channels, height, width = pixels.shape
    rows = pixels.permute(1, 2, 0).numpy().astype(">u2").reshape(height, -1).view(np.uint8)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:], filtered[1:, 1:] = rows[0], rows[1:] - rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPE[channels], 0, 0, 0)
    with path.open("wb") as file:
        file.write(SIGNATURE + _chunk(b"IHDR", header))
        if exif:
            file.write(_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
        file.write(_chunk(b"IDAT", zlib.compress(filtered.tobytes(), compression)) + _chunk(b"IEND", b""))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
