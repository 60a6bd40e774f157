"""Checksums in files, so that a changed byte is noticed when a file is read.

The checksum is a hash of the 64-bit sums of blocks of 64 KiB: it is read at memory speed, several times faster than
CRC-32 or SHA-256, and finds every change within eight bytes, and of other accidental changes all but one in 10¹⁹. It is
no protection against people who change a file on purpose.
"""

import zipfile
from hashlib import blake2b
from io import BytesIO, FileIO
from pathlib import Path

import numpy as np

BLOCK = 1 << 16
CHUNK = 16 * BLOCK
DIGITS = 16
MARK = b"gan_lab checksum "
SEAL = len(MARK) + DIGITS
"""Bytes that a seal takes: the mark and hexadecimal digits."""

_END = b"PK\5\6"
_END_BYTES = 22


def checksum(path: Path, count: int | None = None) -> str:
    """Returns the checksum of a file, or of its first ``count`` bytes, as hexadecimal digits."""
    with path.open("rb", buffering=0) as stream:
        return _checksum(stream, path.stat().st_size if count is None else count)


def _checksum(stream: FileIO | BytesIO, count: int) -> str:
    digest, buffer, left = blake2b(digest_size=DIGITS // 2), np.zeros(CHUNK, np.uint8), count
    while left > 0:
        size = _fill(stream, buffer.data[: min(CHUNK, left)])
        buffer[size:] = 0
        digest.update(buffer.view("<u8").reshape(-1, BLOCK // 8).sum(1, dtype="<u8").tobytes())
        left = left - size if size else 0
    digest.update(f"{count}".encode())
    return digest.hexdigest()


def _fill(stream: FileIO | BytesIO, buffer: memoryview) -> int:
    """Reads until the buffer is full or the file ends, and returns the number of bytes."""
    size = 0
    while size < len(buffer) and (read := stream.readinto(buffer[size:])):
        size += read
    return size


def seal_bytes(content: bytes) -> bytes:
    """Returns the content with its checksum behind it."""
    return content + MARK + _checksum(BytesIO(content), len(content)).encode()


def unseal_bytes(content: bytes) -> bytes:
    """Returns sealed content without its checksum, and content without one as it is.

    Raises:
        ValueError: if the content is not as it was sealed.
    """
    if content[-SEAL:-DIGITS] != MARK:
        return content
    if seal_bytes(content[:-SEAL]) != content:
        raise ValueError("its checksum does not match")
    return content[:-SEAL]


def seal_zip(path: Path) -> None:
    """Stores the checksum of a zip, as which PyTorch and NumPy store several arrays, as the zip's comment."""
    with path.open("r+b") as stream:
        stream.seek(-_END_BYTES, 2)
        end = stream.read()
        if end[:4] != _END or end[-2:] != b"\0\0":
            return  # a zip that has a comment, or a file of another kind, stays as it is
        stream.seek(-2, 2)
        stream.write(SEAL.to_bytes(2, "little") + MARK)
    digits = checksum(path).encode()
    with path.open("ab") as stream:
        stream.write(digits)


def is_whole(path: Path) -> bool:
    """Says whether a zip is as it was written: by its seal, or without one by the checksums of its members."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - SEAL))
        seal = stream.read()
    if seal.startswith(MARK):
        return checksum(path, size - DIGITS).encode() == seal[-DIGITS:]
    try:
        with zipfile.ZipFile(path) as archive:
            unchecked = not any(info.CRC for info in archive.infolist())  # PyTorch can be asked to write none
            return len(archive.comment) != SEAL and (unchecked or archive.testzip() is None)
    except Exception:  # a damaged directory makes zipfile raise many kinds of exceptions
        return False
