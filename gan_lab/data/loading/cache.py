"""Rendered pixels: uint8, in memory or in a memory-mapped file keyed by content and transform.

A kept set is two files, ``<key>.u8`` (the raw pixels) and ``<key>.npz`` (the rest), each put in place by a rename, the
second last: whoever sees it sees a whole set, and processes that build the same one at once do each other no harm.
"""

import json
import os
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
from lightning.pytorch.utilities import rank_zero_warn

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.data.reading.images import READER
from gan_lab.data.reading.pictures import Bytes, Damaged, Frame, Indices, Pictures, Scan

FORMAT = 2
LARGE = 1 << 30  # bytes above which pixels are kept on disk even where rendering is quick
DIGEST = 16
TOLERATED = 0.01


class Ragged:
    """Pictures of different sizes, one behind the other.

    Args:
        flat: uint8, all of their pixels.
        shapes: int64 (N, 2), H and W of each.
        channels: C of all.
    """

    def __init__(self, flat: Bytes, shapes: Indices, channels: int) -> None:
        self.flat, self.shapes, self.channels = flat, shapes, channels
        self.ends = np.cumsum(channels * shapes.prod(1))

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, row: int) -> Bytes:
        """Picture ``row``, (C, H, W)."""
        (height, width), end = self.shapes[row], self.ends[row]
        return self.flat[end - self.channels * height * width : end].reshape(self.channels, height, width)

    def __reduce__(self) -> tuple[Any, ...]:
        return _ragged, (_sent(self.flat), self.shapes, self.channels)


@dataclass(frozen=True)
class Rendered:
    """The pixels of a set.

    Args:
        pixels: uint8 (N, C, H, W), readable pictures only; ``Ragged`` where their sizes differ.
        digests: uint8 (N, 16), a hash of each picture's central part.
        labels: int64 (N,), or None.
        scan: what was found in the files.
        frame: the fixed transform.
    """

    pixels: Bytes | Ragged
    digests: Bytes
    labels: Indices | None
    scan: Scan
    frame: Frame

    def __len__(self) -> int:
        return len(self.pixels)

    def fingerprint(self) -> str:
        """A hash of the central parts: equal if and only if they are."""
        if isinstance(self.pixels, Ragged):
            shape = self.pixels.shapes.tobytes()
        else:
            shape = f"{self.frame.centre(self.pixels).shape}".encode()
        return blake2b(shape + self.digests.tobytes(), digest_size=DIGEST).hexdigest()

    @property
    def shapes(self) -> Indices:
        """H and W of each picture, int64 (N, 2)."""
        if isinstance(self.pixels, Ragged):
            return self.pixels.shapes
        return np.tile(np.array(self.pixels.shape[2:], np.int64), (len(self), 1))

    def __reduce__(self) -> tuple[Any, ...]:
        """A loader's worker that shares no memory maps the file again instead of getting a copy."""
        return _restored, (_sent(self.pixels), self.digests, self.labels, self.scan, self.frame)


def _sent(pixels: Any) -> Any:
    return (pixels.filename, pixels.shape) if isinstance(pixels, np.memmap) else pixels


def _received(pixels: Any) -> Any:
    return _mapped(*pixels) if isinstance(pixels, tuple) else pixels


def _ragged(flat: Any, shapes: Indices, channels: int) -> Ragged:
    return Ragged(_received(flat), shapes, channels)


def _restored(pixels: Any, *rest: Any) -> Rendered:
    return Rendered(_received(pixels), *rest)


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
    stream = BytesIO()
    scan, digests, shapes = _write(pictures, frame, stream)
    pixels = _shaped(np.frombuffer(stream.getbuffer(), np.uint8), shapes, frame)
    return Rendered(pixels, digests, _labels(pictures, scan), scan, frame)


def _on_disk(pictures: Pictures, frame: Frame, folder: Path) -> Rendered:
    key = _key(pictures.content(folder), frame)
    raw, rest = folder / f"{key}.u8", folder / f"{key}.npz"
    if not _whole(raw, rest, frame):
        _build(pictures, frame, raw, rest)
    with np.load(rest) as kept:
        digests, shapes, scan = kept["digests"], kept["shapes"], Scan.of(json.loads(str(kept["scan"])))
    pixels = _shaped(_mapped(raw, (_size(shapes, frame),)), shapes, frame)
    return Rendered(pixels, digests, _labels(pictures, scan), scan, frame)


def _shaped(flat: Bytes, shapes: Indices, frame: Frame) -> Bytes | Ragged:
    """The pictures one behind the other as an array (N, C, H, W), if they are equal in size."""
    if (shapes != shapes[:1]).any():
        return Ragged(flat, shapes, frame.channels)
    shape = (len(shapes), frame.channels, *(shapes[0] if len(shapes) else frame.box))
    return _mapped(Path(str(flat.filename)), shape) if isinstance(flat, np.memmap) else flat.reshape(shape)


def _mapped(file: Path, shape: tuple[int, ...]) -> Bytes:
    return np.memmap(file, np.uint8, "c", shape=shape)


def _size(shapes: Indices, frame: Frame) -> int:
    return int(frame.channels * shapes.prod(1).sum())


def _key(content: str, frame: Frame) -> str:
    return blake2b(f"{FORMAT} {READER} {PIL.__version__} {content} {frame}".encode(), digest_size=DIGEST).hexdigest()


def _whole(raw: Path, rest: Path, frame: Frame) -> bool:
    """Whether both files are there and complete."""
    try:
        with np.load(rest) as kept:
            return raw.stat().st_size == _size(kept["shapes"], frame)
    except Exception:  # absent, cut short, or not an archive: built anew in any case
        return False


def _build(pictures: Pictures, frame: Frame, raw: Path, rest: Path) -> None:
    with atomic_write(raw) as file, file.open("wb") as stream:
        if frame.fixed and hasattr(os, "posix_fallocate"):  # a disk without room is to be told now, not hours later
            os.posix_fallocate(stream.fileno(), 0, len(pictures) * frame.channels * frame.box[0] * frame.box[1])
        scan, digests, shapes = _write(pictures, frame, stream)
        stream.truncate()
    with atomic_write(rest) as file, file.open("wb") as stream:
        np.savez(stream, digests=digests, shapes=shapes, scan=json.dumps(scan.plain()))


def _write(pictures: Pictures, frame: Frame, stream: BinaryIO) -> tuple[Scan, Bytes, Indices]:
    """The readable pictures one behind the other into the stream; what was found, their digests and shapes."""
    scan, hashes, shapes = Scan(transform=pictures.transform(frame)), [], []
    for row, found in enumerate(pictures.render(frame)):
        if isinstance(found, Damaged):
            scan.unreadable[found.name] = found.reason
            continue
        scan.add(row, found)
        stream.write(np.ascontiguousarray(found.pixels).data)
        hashes.append(_digest(found.pixels, frame))
        shapes.append(found.pixels.shape[1:])
    if len(scan.unreadable) > TOLERATED * len(pictures):
        raise UserError(
            f"{len(scan.unreadable)} of {len(pictures)} pictures cannot be read, more than 1 %: "
            f"remove or mend {scan.unread(5)}."
        )
    return scan, _joined(hashes), np.array(shapes, np.int64).reshape(-1, 2)


def digests(pixels: Bytes, frame: Frame) -> Bytes:
    """A hash of the central part of each picture, uint8 (N, 16); pixels are (N, C, H, W)."""
    return _joined([_digest(picture, frame) for picture in pixels])


def _digest(picture: Bytes, frame: Frame) -> bytes:
    return blake2b(np.ascontiguousarray(frame.centre(picture)).data, digest_size=DIGEST).digest()


def _joined(hashes: list[bytes]) -> Bytes:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, DIGEST)


def _labels(pictures: Pictures, scan: Scan) -> Indices | None:
    return None if pictures.labels is None else pictures.labels[scan.rows]
