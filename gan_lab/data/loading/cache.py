"""Rendered pixels: uint8, in memory or in a memory-mapped file keyed by content and transform.

A cached set consists of two files: ``<key>.u8`` has the raw pixels, ``<key>.npz`` the rest and the checksum of the
pixels. Each is renamed into place when it is complete, the second one last. A reader therefore sees complete sets only,
and processes that build the same set at once do not disturb each other. Both are verified when a set is loaded; a set
that is not as it was written is built anew.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
from lightning.pytorch.utilities import rank_zero_warn

from gan_lab.common.atomic import abandoned_files, atomic_write, mark_used
from gan_lab.common.capabilities import Identity
from gan_lab.common.errors import UserError
from gan_lab.common.integrity import checksum, is_whole, seal_zip
from gan_lab.data.reading.image_sets import DamagedImage, ImageSet, Scan
from gan_lab.data.reading.images import READER, reason
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array

FORMAT = 2
"""Version of the cached files."""

LARGE = 1 << 30
"""Bytes above which pixels are cached on disk even if rendering is fast."""

ABANDONED = 3600.0
"""Seconds without a write after which a temporary file belongs to no running scan."""

DIGEST = 16
MAX_UNREADABLE = 0.01
"""Share of a set's images that may be unreadable."""

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

    def __reduce__(self) -> tuple[Callable[..., "Ragged"], tuple[Stored, Int64Array, int]]:
        return _unpickle_ragged, (_as_file(self.flat), self.shapes, self.channels)


@dataclass(frozen=True)
class Rendered:
    """The pixels of an image set.

    Args:
        pixels: uint8 (N, C, H, W), readable images only; ``Ragged`` if their sizes differ.
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
        if isinstance(self.pixels, Ragged):
            shape = self.pixels.shapes.tobytes()
        else:
            shape = f"{self.spec.center_crop(self.pixels).shape}".encode()
        return blake2b(shape + self.digests.tobytes(), digest_size=DIGEST).hexdigest()

    def identity(self, labelled: bool = False) -> Identity:
        """Returns the number of images and a hash of them, with their labels if ``labelled`` is set."""
        labels = self.labels.tobytes() if labelled and self.labels is not None else b""
        whole = blake2b(self.fingerprint().encode() + labels, digest_size=DIGEST).hexdigest()
        return {"count": len(self), "hash": whole}

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
    return _mapped(Path(stored[0]), stored[1]) if isinstance(stored, tuple) else stored


def _unpickle_ragged(flat: Stored, shapes: Int64Array, channels: int) -> Ragged:
    return Ragged(_from_file(flat), shapes, channels)


def _unpickle_rendered(
    pixels: Stored | Ragged, digests: UInt8Array, labels: Int64Array | None, scan: Scan, spec: ResizeSpec
) -> Rendered:
    return Rendered(pixels if isinstance(pixels, Ragged) else _from_file(pixels), digests, labels, scan, spec)


def render(images: ImageSet, spec: ResizeSpec, cache: str = "auto", folder: str | Path | None = None) -> Rendered:
    """Renders an image set, or loads the result from the cache.

    Args:
        images: the set.
        spec: size, channels, and how images get them.
        cache: "memory", "disk", or "auto": disk for files and for more than 1 GiB.
        folder: of the cache; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.

    Raises:
        UserError: if more than 1 % of the images cannot be read, or the disk is full.
    """
    large = len(images) * spec.channels * spec.target_size[0] * spec.target_size[1] > LARGE
    if cache == "memory" or (cache == "auto" and not (large or images.cacheable)):
        return _in_memory(images, spec)
    folder = cache_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _on_disk(images, spec, folder)
    except OSError as error:
        failure = f"Pixels cannot be cached in {folder} ({error.strerror or error})"
        if cache == "disk":
            raise UserError(f"{failure}: set data.cache_dir, or data.cache=memory.") from error
        rank_zero_warn(f"{failure}: they stay in memory.")
        return _in_memory(images, spec)


def cache_folder(folder: str | Path | None = None) -> Path:
    """Returns the folder of cached pixels within a cache; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab."""
    return Path(folder or os.environ.get("GAN_LAB_CACHE") or "~/.cache/gan_lab").expanduser() / "pixels"


def _in_memory(images: ImageSet, spec: ResizeSpec) -> Rendered:
    stream = BytesIO()
    scan, digests, shapes = _write(images, spec, stream)
    pixels = _shaped(np.frombuffer(stream.getbuffer(), np.uint8), shapes, spec)
    return Rendered(pixels, digests, _labels(images, scan), scan, spec)


def _on_disk(images: ImageSet, spec: ResizeSpec, folder: Path) -> Rendered:
    key = _key(images.content_hash(folder), spec)
    raw, rest = folder / f"{key}.u8", folder / f"{key}.npz"
    known = _load(images, spec, raw, rest)
    if known is None:
        _clear_abandoned(folder)
        _build(images, spec, raw, rest)
        known = _load(images, spec, raw, rest)
    if known is None:
        raise OSError("what is written there is not what is read")
    return known


def _load(images: ImageSet, spec: ResizeSpec, raw: Path, rest: Path) -> Rendered | None:
    """Loads a cached set; None if it is missing, or, with a warning, if it is not as it was written."""
    if not rest.is_file():
        return None
    try:
        if not is_whole(rest):
            raise ValueError("it is damaged")
        with np.load(rest) as kept:
            digests, shapes, scan = kept["digests"], kept["shapes"], Scan.from_dict(json.loads(str(kept["scan"])))
            if "checksum" not in kept or str(kept["checksum"]) != checksum(raw):
                raise ValueError("its pixels have another checksum, or none")
        pixels = _shaped(_mapped(raw, (_num_bytes(shapes, spec),)), shapes, spec)
        mark_used(rest)
        return Rendered(pixels, digests, _labels(images, scan), scan, spec)
    except Exception as problem:  # a damaged file can raise anything
        rank_zero_warn(f"The cached pixels {raw} cannot be used ({reason(problem)}), and are built anew.")
        return None


def _clear_abandoned(folder: Path) -> None:
    """Removes what killed scans left, which may be as large as a data set. One that runs writes all the time."""
    for path in abandoned_files(folder, ABANDONED):
        path.unlink(missing_ok=True)


def _shaped(flat: UInt8Array, shapes: Int64Array, spec: ResizeSpec) -> UInt8Array | Ragged:
    """Returns an array (N, C, H, W) if all images have one size, else a ragged one."""
    if (shapes != shapes[:1]).any():
        return Ragged(flat, shapes, spec.channels)
    shape = (len(shapes), spec.channels, *(shapes[0] if len(shapes) else spec.target_size))
    return _mapped(Path(str(flat.filename)), shape) if isinstance(flat, np.memmap) else flat.reshape(shape)


def _mapped(file: Path, shape: tuple[int, ...]) -> UInt8Array:
    return np.memmap(file, np.uint8, "c", shape=shape)


def _num_bytes(shapes: Int64Array, spec: ResizeSpec) -> int:
    return int(spec.channels * shapes.prod(1).sum())


def _key(content: str, spec: ResizeSpec) -> str:
    return blake2b(f"{FORMAT} {READER} {PIL.__version__} {content} {spec}".encode(), digest_size=DIGEST).hexdigest()


def _build(images: ImageSet, spec: ResizeSpec, raw: Path, rest: Path) -> None:
    with atomic_write(raw) as file, file.open("wb") as stream:
        if spec.fixed_size and hasattr(os, "posix_fallocate"):  # a full disk is reported now, not hours later
            height, width = spec.target_size
            os.posix_fallocate(stream.fileno(), 0, len(images) * spec.channels * height * width)
        scan, digests, shapes = _write(images, spec, stream)
        stream.truncate()
        stream.flush()
        written = checksum(file)
    with atomic_write(rest) as file:
        np.savez(file, digests=digests, shapes=shapes, scan=json.dumps(scan.to_dict()), checksum=written)
        seal_zip(file)


def _write(images: ImageSet, spec: ResizeSpec, stream: BinaryIO) -> tuple[Scan, UInt8Array, Int64Array]:
    """Writes readable images one after another.

    Returns:
        Facts about the set, digests uint8 (N, 16), and shapes int64 (N, 2).

    Raises:
        UserError: if more than 1 % of the images cannot be read.
    """
    scan, hashes, shapes = Scan(transform=images.describe_transform(spec)), [], []
    for row, image in enumerate(images.render(spec)):
        if isinstance(image, DamagedImage):
            scan.unreadable[image.name] = image.reason
            continue
        scan.add(row, image)
        stream.write(np.ascontiguousarray(image.pixels).data)
        hashes.append(_digest(image.pixels, spec))
        shapes.append(image.pixels.shape[1:])
    if len(scan.unreadable) > MAX_UNREADABLE * len(images):
        raise UserError(
            f"{len(scan.unreadable)} of {len(images)} images cannot be read, more than 1 %: "
            f"remove or repair {scan.list_unreadable(5)}."
        )
    return scan, _joined(hashes), np.array(shapes, np.int64).reshape(-1, 2)


def digests(pixels: UInt8Array, spec: ResizeSpec) -> UInt8Array:
    """Returns a hash of the center crop of each image (N, C, H, W), uint8 (N, 16)."""
    return _joined([_digest(image, spec) for image in pixels])


def _digest(image: UInt8Array, spec: ResizeSpec) -> bytes:
    return blake2b(np.ascontiguousarray(spec.center_crop(image)).data, digest_size=DIGEST).digest()


def _joined(hashes: list[bytes]) -> UInt8Array:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, DIGEST)


def _labels(images: ImageSet, scan: Scan) -> Int64Array | None:
    return None if images.labels is None else images.labels[scan.rows]
