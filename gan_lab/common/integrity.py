"""Checksums in files, so that changed bytes are noticed when a file is read.

The checksum is a hash of the CRC-32 of each MiB: a CRC is computed at some 4 GB/s, and finds every change within 32
bits, and of other accidental changes all but one in 4·10⁹. It is no protection against people who change a file on
purpose.
"""

import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from zlib import crc32

CHUNK, THREADS = 1 << 20, 4
DIGITS = 16
MARK = b"gan_lab checksum "
SEAL = len(MARK) + DIGITS
"""Bytes that a seal takes: the mark and hexadecimal digits."""

_END = b"PK\5\6"
_END_BYTES = 22


def checksum(path: Path, count: int | None = None) -> str:
    """Returns the checksum of a file, or of its first ``count`` bytes, as hexadecimal digits."""
    size, lock = path.stat().st_size if count is None else count, Lock()
    with path.open("rb") as stream:

        def chunk(start: int) -> bytes:
            with lock:  # a mapped file would be faster, but counts as this process's memory
                stream.seek(start)
                return stream.read(min(CHUNK, size - start))

        return _checksum(size, chunk)


def _checksum(size: int, chunk: Callable[[int], bytes | memoryview]) -> str:
    """Returns the checksum of ``size`` bytes, given a function from a place to the chunk that begins there."""

    def crc_of_chunk(start: int) -> bytes:
        return crc32(chunk(start)).to_bytes(4, "little")

    digest, starts = blake2b(digest_size=DIGITS // 2), range(0, size, CHUNK)
    with ThreadPoolExecutor(THREADS) as pool:
        each = map if len(starts) <= THREADS else pool.map  # no thread starts for a small file
        digest.update(b"".join(each(crc_of_chunk, starts)) + f"{size}".encode())
    return digest.hexdigest()


def seal_bytes(content: bytes) -> bytes:
    """Returns the content with its checksum behind it."""
    view = memoryview(content)
    return content + MARK + _checksum(len(view), lambda start: view[start : start + CHUNK]).encode()


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
