"""Rendered pixels: uint8, in memory or in a memory-mapped file keyed by content and transform.

A kept set is two files, ``<key>.u8`` (the raw pixels) and ``<key>.npz`` (the rest), each put in place by a rename, the
second last: whoever sees it sees a whole set, and processes that build the same one at once do each other no harm.
"""

import json
import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from lightning.pytorch.utilities import rank_zero_warn

from gan_lab.atomic import replacing
from gan_lab.data.pictures import Bytes, Frame, Indices, Pictures, Scan
from gan_lab.types import UserError

FORMAT = 1
LARGE = 1 << 30  # bytes above which pixels are kept on disk even where rendering is quick
DIGEST = 16
TOLERATED = 0.01


@dataclass(frozen=True)
class Rendered:
    """The pixels of a set.

    Args:
        pixels: uint8 (N, C, *box), readable pictures only.
        digests: uint8 (N, 16), a hash of each picture's central part.
        labels: int64 (N,), or None.
        scan: what was found in the files.
        frame: the fixed transform.
    """

    pixels: Bytes
    digests: Bytes
    labels: Indices | None
    scan: Scan
    frame: Frame

    def __len__(self) -> int:
        return len(self.pixels)

    def fingerprint(self) -> str:
        """A hash of the central parts: equal if and only if they are."""
        shape = f"{self.frame.centre(self.pixels).shape}".encode()
        return blake2b(shape + self.digests.tobytes(), digest_size=DIGEST).hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        """A loader's worker that shares no memory maps the file again instead of getting a copy."""
        pixels = (self.pixels.filename, self.pixels.shape) if isinstance(self.pixels, np.memmap) else self.pixels
        return _restored, (pixels, self.digests, self.labels, self.scan, self.frame)


def render(pictures: Pictures, frame: Frame, cache: str = "auto", folder: str | Path | None = None) -> Rendered:
    """Decodes the pictures, or finds that it was done before.

    Args:
        pictures: what is to be rendered.
        frame: size, box and channels.
        cache: "memory", "disk", or "auto" (disk for files and for more than 1 GiB).
        folder: of the kept files; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.

    Raises:
        UserError: if more than 1 % of the pictures cannot be read, or the disk has no room.
    """
    large = len(pictures) * frame.channels * frame.box[0] * frame.box[1] > LARGE
    if cache == "memory" or (cache == "auto" and not (large or pictures.costly)):
        return _in_memory(pictures, frame)
    folder = Path(folder or os.environ.get("GAN_LAB_CACHE") or "~/.cache/gan_lab").expanduser() / "pixels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _on_disk(pictures, frame, folder)
    except OSError as error:
        failure = f"Pixels cannot be kept in {folder} ({error.strerror or error})"
        if cache == "disk":
            raise UserError(f"{failure}: set data.cache_dir, or data.cache=memory.") from error
        rank_zero_warn(f"{failure}: they stay in memory.")
        return _in_memory(pictures, frame)


def _in_memory(pictures: Pictures, frame: Frame) -> Rendered:
    pixels = np.empty(_shape(pictures, frame), np.uint8)
    scan = _fill(pictures, frame, pixels)
    pixels = pixels[: len(scan.rows)]
    return Rendered(pixels, _digests(pixels, frame), _labels(pictures, scan), scan, frame)


def _on_disk(pictures: Pictures, frame: Frame, folder: Path) -> Rendered:
    key = _key(pictures.content(folder), frame)
    raw, rest = folder / f"{key}.u8", folder / f"{key}.npz"
    if not _whole(raw, rest, frame):
        _build(pictures, frame, raw, rest)
    with np.load(rest) as kept:
        digests, scan = kept["digests"], Scan.of(json.loads(str(kept["scan"])))
    pixels = _mapped(raw, (len(digests), frame.channels, *frame.box))
    return Rendered(pixels, digests, _labels(pictures, scan), scan, frame)


def _mapped(file: Path, shape: tuple[int, ...]) -> Bytes:
    return np.memmap(file, np.uint8, "c", shape=shape)


def _restored(pixels: Bytes | tuple[Path, tuple[int, ...]], *rest: Any) -> Rendered:
    return Rendered(_mapped(*pixels) if isinstance(pixels, tuple) else pixels, *rest)


def _key(content: str, frame: Frame) -> str:
    return blake2b(f"{FORMAT} {PIL.__version__} {content} {frame}".encode(), digest_size=DIGEST).hexdigest()


def _whole(raw: Path, rest: Path, frame: Frame) -> bool:
    """Whether both files are there and complete."""
    try:
        with np.load(rest) as kept:
            return raw.stat().st_size == len(kept["digests"]) * frame.channels * frame.box[0] * frame.box[1]
    except Exception:  # absent, cut short, or not an archive: built anew in any case
        return False


def _build(pictures: Pictures, frame: Frame, raw: Path, rest: Path) -> None:
    shape = _shape(pictures, frame)
    with replacing(raw) as file:
        _reserve(file, int(np.prod(shape)))
        pixels: Bytes = np.memmap(file, np.uint8, "r+", shape=shape)
        scan = _fill(pictures, frame, pixels)
        digests = _digests(pixels[: len(scan.rows)], frame)
        del pixels
        os.truncate(file, len(digests) * int(np.prod(shape[1:])))
    with replacing(rest) as file, file.open("wb") as stream:
        np.savez(stream, digests=digests, scan=json.dumps(scan.plain()))


def _reserve(file: Path, size: int) -> None:
    """Takes the room on disk now: a mapped file on a full disk ends the process without a word."""
    with file.open("wb") as stream:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)
        else:
            stream.truncate(size)


def _shape(pictures: Pictures, frame: Frame) -> tuple[int, int, int, int]:
    return (len(pictures), frame.channels, *frame.box)


def _fill(pictures: Pictures, frame: Frame, pixels: Bytes) -> Scan:
    """Renders, refuses what is too damaged, and moves the readable pictures to the front."""
    scan = pictures.render(frame, pixels)
    if len(scan.unreadable) > TOLERATED * len(pictures):
        raise UserError(
            f"{len(scan.unreadable)} of {len(pictures)} pictures cannot be read, more than 1 %: "
            f"remove or mend {scan.unread(5)}."
        )
    for new, old in enumerate(scan.rows):
        if new != old:
            pixels[new] = pixels[old]
    return scan


def _digests(pixels: Bytes, frame: Frame) -> Bytes:
    rows = (blake2b(row.tobytes(), digest_size=DIGEST).digest() for row in frame.centre(pixels))
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(pixels), DIGEST)


def _labels(pictures: Pictures, scan: Scan) -> Indices | None:
    return None if pictures.labels is None else pictures.labels[scan.rows]
