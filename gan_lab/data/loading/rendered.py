"""The pixels of an image set, in memory or mapped from a file."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np

from gan_lab.common.capabilities import Identity
from gan_lab.data.reading.image_sets import Scan
from gan_lab.data.reading.label_files import decode_content
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array

DIGEST = 16
"""Bytes of an image's hash."""

Stored = UInt8Array | tuple[str, tuple[int, ...]]
"""Pixels, or the name and shape of the file that they are mapped from."""


class Ragged:
    """Images of different sizes, stored one after another.

    Args:
        flat: all pixels, uint8.
        shapes: height and width of each image, int64 (N, 2).
        channels: channels of every image.
    """

    def __init__(self, flat: UInt8Array, shapes: Int64Array, channels: int) -> None:
        self.flat, self.shapes, self.channels = flat, shapes, channels
        self.ends = np.cumsum(channels * shapes.prod(1))

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, row: int) -> UInt8Array:
        """Returns one image, uint8 (C, H, W)."""
        (height, width), end = self.shapes[row], self.ends[row]
        return self.flat[end - self.channels * height * width : end].reshape(self.channels, height, width)

    def __reduce__(self) -> tuple[Callable[..., "Ragged"], tuple[object, ...]]:
        return _unpickle_ragged, (_as_file(self.flat), self.shapes, self.channels)


class Packed(Ragged):
    """Images that are decoded whenever they are read, from the bytes of their files, stored one after another.

    Args:
        flat: the bytes of all files, uint8.
        lengths: bytes of each file, int64 (N,).
        shapes: height and width of each image, int64 (N, 2).
        spec: how an image gets them.
    """

    def __init__(self, flat: UInt8Array, lengths: Int64Array, shapes: Int64Array, spec: ResizeSpec) -> None:
        super().__init__(flat, shapes, spec.channels)
        self.lengths, self.spec, self.ends = lengths, spec, np.cumsum(lengths)

    def __getitem__(self, row: int) -> UInt8Array:
        """Returns one image, uint8 (C, H, W)."""
        end = self.ends[row]
        return decode_content(self.flat[end - self.lengths[row] : end].tobytes(), self.spec)

    def __reduce__(self) -> tuple[Callable[..., "Packed"], tuple[object, ...]]:
        return _unpickle_packed, (_as_file(self.flat), self.lengths, self.shapes, self.spec)


@dataclass(frozen=True)
class Rendered:
    """The pixels of an image set.

    Args:
        pixels: uint8 (N, C, H, W), readable images only; ``Ragged`` if their sizes differ, or if they are ``Packed``.
        digests: uint8 (N, 16), a hash of each image's center crop.
        labels: int64 (N,), or None.
        scan: facts about the files.
        spec: the fixed part of the transform.
    """

    pixels: UInt8Array | Ragged
    digests: UInt8Array
    labels: Int64Array | None
    scan: Scan
    spec: ResizeSpec

    def __len__(self) -> int:
        return len(self.pixels)

    def fingerprint(self) -> str:
        """Returns a hash of the center crops, equal if and only if all their pixels are."""
        if self.one_size is None:
            shape = self.shapes.tobytes()
        else:
            size = self.spec.size or self.one_size
            shape = f"{(len(self), self.spec.channels, *size)}".encode()
        return blake2b(shape + self.digests.tobytes(), digest_size=DIGEST).hexdigest()

    def identity(self, labelled: bool = False) -> Identity:
        """Returns the number of images and a hash of them, with their labels if ``labelled`` is set."""
        labels = self.labels.tobytes() if labelled and self.labels is not None else b""
        whole = blake2b(self.fingerprint().encode() + labels, digest_size=DIGEST).hexdigest()
        return {"count": len(self), "hash": whole}

    @cached_property
    def one_size(self) -> tuple[int, int] | None:
        """Height and width of all images; None if they differ."""
        if not isinstance(self.pixels, Ragged):
            return self.pixels.shape[2], self.pixels.shape[3]
        shapes = self.pixels.shapes
        return None if (shapes != shapes[:1]).any() or not len(shapes) else (int(shapes[0, 0]), int(shapes[0, 1]))

    @property
    def shapes(self) -> Int64Array:
        """Height and width of each image, int64 (N, 2)."""
        if isinstance(self.pixels, Ragged):
            return self.pixels.shapes
        return np.tile(np.array(self.pixels.shape[2:], np.int64), (len(self), 1))

    def __reduce__(self) -> tuple[Callable[..., "Rendered"], tuple[object, ...]]:
        """Pickles the name of a mapped file, so that a loader's worker maps it again and gets no copy of the pixels."""
        pixels = self.pixels if isinstance(self.pixels, Ragged) else _as_file(self.pixels)
        return _unpickle_rendered, (pixels, self.digests, self.labels, self.scan, self.spec)


def _as_file(pixels: UInt8Array) -> Stored:
    return (str(pixels.filename), pixels.shape) if isinstance(pixels, np.memmap) else pixels


def _from_file(stored: Stored) -> UInt8Array:
    return mapped(Path(stored[0]), stored[1]) if isinstance(stored, tuple) else stored


def _unpickle_ragged(flat: Stored, shapes: Int64Array, channels: int) -> Ragged:
    return Ragged(_from_file(flat), shapes, channels)


def _unpickle_packed(flat: Stored, lengths: Int64Array, shapes: Int64Array, spec: ResizeSpec) -> Packed:
    return Packed(_from_file(flat), lengths, shapes, spec)


def _unpickle_rendered(
    pixels: Stored | Ragged, digests: UInt8Array, labels: Int64Array | None, scan: Scan, spec: ResizeSpec
) -> Rendered:
    return Rendered(pixels if isinstance(pixels, Ragged) else _from_file(pixels), digests, labels, scan, spec)


def shaped(flat: UInt8Array, shapes: Int64Array, spec: ResizeSpec) -> UInt8Array | Ragged:
    """Returns an array (N, C, H, W) if all images have one size, else a ragged one."""
    if (shapes != shapes[:1]).any():
        return Ragged(flat, shapes, spec.channels)
    shape = (len(shapes), spec.channels, *(shapes[0] if len(shapes) else spec.target_size))
    return mapped(Path(str(flat.filename)), shape) if isinstance(flat, np.memmap) else flat.reshape(shape)


def mapped(file: Path, shape: tuple[int, ...]) -> UInt8Array:
    return np.memmap(file, np.uint8, "c", shape=shape)


def digests(pixels: UInt8Array, spec: ResizeSpec) -> UInt8Array:
    """Returns a hash of the center crop of each image (N, C, H, W), uint8 (N, 16)."""
    return joined([digest(image, spec) for image in pixels])


def digest(image: UInt8Array, spec: ResizeSpec) -> bytes:
    return blake2b(np.ascontiguousarray(spec.center_crop(image)).data, digest_size=DIGEST).digest()


def joined(hashes: list[bytes]) -> UInt8Array:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, DIGEST)
