"""Renders an image set into a file in portions, so that a scan that was cut short goes on where its last portion ended.

Beside the file of pixels lies one of notes: a sealed line for each portion that is complete on disk.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.integrity import seal_bytes, unseal_bytes
from gan_lab.data.loading.rendered import DIGEST, digest
from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage, EncodedImages, ImageSet, Scan
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array

PORTION = 1 << 26
"""Bytes of pixels after which a portion ends."""


@dataclass
class Portion:
    """Facts about consecutive images of a set.

    Args:
        images: how many were looked at, readable or not.
        crc: CRC-32 of what was written for them.
        scan: facts about the files.
        hashes: a hash of each readable image.
        sizes: height and width of each readable image, and the bytes that were written for it.
    """

    images: int = 0
    crc: int = 0
    scan: Scan = field(default_factory=Scan)
    hashes: bytearray = field(default_factory=bytearray)
    sizes: list[tuple[int, int, int]] = field(default_factory=list)

    def add(
        self,
        row: int,
        image: DecodedImage | DamagedImage,
        content: bytes | None,
        spec: ResizeSpec,
        stream: BinaryIO,
    ) -> None:
        """Writes an image's pixels, or the content of its file, if it is readable, and notes what is known of it."""
        self.images += 1
        if isinstance(image, DamagedImage):
            self.scan.unreadable[image.name] = image.reason
            return
        written = np.ascontiguousarray(image.pixels).data if content is None else memoryview(content)
        stream.write(written)
        self.crc = crc32(written, self.crc)
        self.scan.add(row, image)
        self.hashes += digest(image.pixels, spec)
        self.sizes.append((*image.pixels.shape[1:], written.nbytes))

    def extend(self, later: "Portion") -> None:
        """Joins the portion that follows; ``crc`` stays that of the first."""
        self.images += later.images
        self.scan.extend(later.scan)
        self.hashes += later.hashes
        self.sizes += later.sizes

    @property
    def num_bytes(self) -> int:
        """The bytes that were written."""
        return sum(length for _, _, length in self.sizes)

    @property
    def digests(self) -> UInt8Array:
        """A hash of each readable image, uint8 (N, 16)."""
        return np.frombuffer(bytes(self.hashes), np.uint8).reshape(-1, DIGEST)

    @property
    def shapes(self) -> Int64Array:
        """Height and width of each readable image, int64 (N, 2)."""
        return np.array(self.sizes, np.int64).reshape(-1, 3)[:, :2]

    @property
    def lengths(self) -> Int64Array:
        """The bytes that were written for each readable image, int64 (N,)."""
        return np.array(self.sizes, np.int64).reshape(-1, 3)[:, 2]

    def to_line(self) -> bytes:
        """Returns one sealed line."""
        plain = {**vars(self), "scan": self.scan.to_dict(), "hashes": b64encode(self.hashes).decode()}
        return seal_bytes(json.dumps(plain).encode()) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Portion":
        """Reads what ``to_line`` gave.

        Raises:
            ValueError: if the line is not as it was written.
        """
        content = unseal_bytes(line.rstrip(b"\n"))
        if content == line.rstrip(b"\n"):
            raise ValueError("it has no checksum")
        plain = json.loads(content)
        sizes = [(height, width, length) for height, width, length in plain["sizes"]]
        known = {"scan": Scan.from_dict(plain["scan"]), "hashes": bytearray(b64decode(plain["hashes"])), "sizes": sizes}
        return cls(**{**plain, **known})


def portions(
    images: ImageSet, spec: ResizeSpec, stream: BinaryIO, start: int = 0, packed: bool = False
) -> Iterator[Portion]:
    """Writes the images from number ``start`` on, and yields what was found in each portion of them.

    Args:
        images: the set; files, if ``packed``.
        spec: size, channels, and how images get them.
        stream: gets the pixels.
        start: number of the first image.
        packed: write the content of the files in place of the pixels.
    """
    rest = images.take(np.arange(start, len(images))) if start else images
    contents = rest.contents() if packed and isinstance(rest, EncodedImages) else repeat(None)
    found, written = Portion(), 0
    for row, (image, content) in enumerate(zip(rest.render(spec), contents, strict=False), start):
        found.add(row, image, content, spec, stream)
        written += found.sizes[-1][2] if isinstance(image, DecodedImage) else 0
        if written >= PORTION:
            yield found
            found, written = Portion(), 0
    yield found


def write_pixels(images: ImageSet, spec: ResizeSpec, stream: BinaryIO) -> Portion:
    """Writes the pixels of a set, and returns what was found."""
    whole = Portion()
    for found in portions(images, spec, stream):
        whole.extend(found)
    return whole


def build(images: ImageSet, spec: ResizeSpec, pixels: Path, notes: Path, packed: bool = False) -> Portion:
    """Writes the pixels of a set into a file; goes on with what an earlier call left there.

    Args:
        images: the set; files, if ``packed``.
        spec: size, channels, and how images get them.
        pixels: the file of pixels.
        notes: the file of notes.
        packed: write the content of the files in place of the pixels.

    Raises:
        OSError: if the disk is full, or a file cannot be written. What is complete stays for a later call.
    """
    pixels.touch()
    whole = _noted(pixels, notes)
    if whole.images:
        rank_zero_info(f"Images 1 to {whole.images:,} of {len(images):,} were read before.")
    with pixels.open("r+b") as stream, notes.open("ab") as lines:
        if (
            spec.fixed_size and not packed and hasattr(os, "posix_fallocate")
        ):  # a full disk is reported now, not hours later
            height, width = spec.target_size
            os.posix_fallocate(stream.fileno(), 0, len(images) * spec.channels * height * width)
        stream.seek(whole.num_bytes)
        for found in portions(images, spec, stream, whole.images, packed):
            _sync(stream)
            lines.write(found.to_line())
            _sync(lines)
            whole.extend(found)
        stream.truncate(whole.num_bytes)
    return whole


def _noted(pixels: Path, notes: Path) -> Portion:
    """Returns what the portions that are complete have, and cuts the notes behind them."""
    whole, length, position = Portion(), 0, 0
    if not notes.exists():
        return whole
    with notes.open("rb") as lines:
        for line in lines:
            try:
                found = Portion.from_line(line)
            except (ValueError, KeyError, TypeError):
                break
            if _crc(pixels, position, found.num_bytes) != found.crc:
                break
            whole.extend(found)
            length, position = length + len(line), position + found.num_bytes
    os.truncate(notes, length)
    return whole


def _crc(file: Path, start: int, count: int) -> int | None:
    """Returns the CRC-32 of part of a file; None if the file ends before."""
    with file.open("rb") as stream:
        stream.seek(start)
        content = stream.read(count)
    return crc32(content) if len(content) == count else None


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
