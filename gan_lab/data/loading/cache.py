"""Rendered pixels: uint8, in memory or in a memory-mapped file keyed by content and transform.

A cached set consists of two files: ``<key>.u8`` has the raw pixels, or ``<key>.packed`` the bytes of the image files;
``<key>.npz`` has the rest and the checksum of the first, and is renamed into place last. A reader therefore sees
complete sets only. Both are verified when a set is loaded; a set that is not as it was written is built anew. One
process builds a set, and others wait for it. Until it is complete, ``<key>.part`` has what is written, and
``<key>.notes`` says how far that is.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from gan_lab.common.atomic import abandoned_files, atomic_write, mark_used
from gan_lab.common.errors import UserError
from gan_lab.common.integrity import checksum, is_whole, seal_zip
from gan_lab.data.loading.building import Portion, build, write_pixels
from gan_lab.data.loading.rendered import DIGEST, Packed, Ragged, Rendered, mapped, shaped
from gan_lab.data.reading.image_sets import EncodedImages, ImageSet, Scan
from gan_lab.data.reading.images import READER, reason
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array

FORMAT = 3
"""Version of the cached files."""

CACHES = ("auto", "memory", "disk", "packed")
"""Where decoded pixels, or files, are kept."""

PIXELS, PACKED = ".u8", ".packed"
"""Endings of files of raw pixels, and of packed image files."""

LARGE = 1 << 30
"""Bytes above which pixels are cached on disk even if rendering is fast."""

ABANDONED = 3600.0
"""Seconds without a write after which a temporary file belongs to no running scan."""

FORGOTTEN = 7 * 86400.0
"""Seconds after which a scan that was cut short is not expected to go on."""

UNFINISHED = (".part", ".notes")
"""Endings of the files of a scan that is not complete."""

MAX_UNREADABLE = 0.01
"""Share of a set's images that may be unreadable."""


def render(images: ImageSet, spec: ResizeSpec, cache: str = "auto", folder: str | Path | None = None) -> Rendered:
    """Renders an image set, or loads the result from the cache.

    Args:
        images: the set.
        spec: size, channels, and how images get them.
        cache: "memory", "disk", or "auto": disk for files and for more than 1 GiB; "packed": the files as they are, on
            disk, which are decoded whenever they are read.
        folder: of the cache; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab.

    Raises:
        UserError: if more than 1 % of the images cannot be read, the disk is full, or images to be packed are not in
            files.
    """
    if cache == "packed" and not isinstance(images, EncodedImages):
        raise UserError("data.cache=packed keeps image files as they are, and these images are in none: give disk.")
    large = len(images) * spec.channels * spec.target_size[0] * spec.target_size[1] > LARGE
    if cache == "memory" or (cache == "auto" and not (large or images.cacheable)):
        return _in_memory(images, spec)
    folder = cache_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _on_disk(images, spec, folder, cache == "packed")
    except OSError as error:
        failure = f"Pixels cannot be cached in {folder} ({error.strerror or error})"
        if cache in ("disk", "packed"):
            raise UserError(f"{failure}: set data.cache_dir, or data.cache=memory.") from error
        rank_zero_warn(f"{failure}: they stay in memory.")
        return _in_memory(images, spec)


def cache_folder(folder: str | Path | None = None) -> Path:
    """Returns the folder of cached pixels within a cache; None stands for $GAN_LAB_CACHE, else ~/.cache/gan_lab."""
    return Path(folder or os.environ.get("GAN_LAB_CACHE") or "~/.cache/gan_lab").expanduser() / "pixels"


def _in_memory(images: ImageSet, spec: ResizeSpec) -> Rendered:
    stream = BytesIO()
    found = _checked(write_pixels(images, spec, stream), images, spec)
    pixels = shaped(np.frombuffer(stream.getbuffer(), np.uint8), found.shapes, spec)
    return Rendered(pixels, found.digests, _labels(images, found.scan), found.scan, spec)


def _on_disk(images: ImageSet, spec: ResizeSpec, folder: Path, packed: bool) -> Rendered:
    raw = folder / f"{_key(images.content_hash(folder), spec)}{PACKED if packed else PIXELS}"
    known = _load(images, spec, raw)
    if known is None:
        _clear_abandoned(folder)
        with _only_builder(raw.with_suffix(".lock")) as waited:
            known = _load(images, spec, raw) if waited else None
            if known is None:
                _build(images, spec, raw)
                known = _load(images, spec, raw)
    if known is None:
        raise OSError("what is written there is not what is read")
    return known


@contextmanager
def _only_builder(file: Path) -> Iterator[bool]:
    """Waits until no other process builds a set; yields True if one did."""
    lock, waited = FileLock(file), False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        rank_zero_info("Another process reads the same images: waiting for it.")
        lock.acquire()
        waited = True
    try:
        yield waited
        with suppress(OSError):  # Windows removes no open file
            file.unlink()
    finally:
        lock.release()


def _load(images: ImageSet, spec: ResizeSpec, raw: Path) -> Rendered | None:
    """Loads a cached set; None if it is missing, or, with a warning, if it is not as it was written."""
    rest = raw.with_suffix(".npz")
    if not rest.is_file():
        return None
    try:
        if not is_whole(rest):
            raise ValueError("it is damaged")
        with np.load(rest) as kept:
            digests, shapes, scan = kept["digests"], kept["shapes"], Scan.from_dict(json.loads(str(kept["scan"])))
            if "checksum" not in kept or str(kept["checksum"]) != checksum(raw):
                raise ValueError("its pixels have another checksum, or none")
            pixels = _pixels(images, spec, raw, shapes, kept["lengths"])
        mark_used(rest)
        return Rendered(pixels, digests, _labels(images, scan), scan, spec)
    except Exception as problem:  # a damaged file can raise anything
        rank_zero_warn(f"The cached pixels {raw} cannot be used ({reason(problem)}), and are built anew.")
        return None


def _pixels(
    images: ImageSet, spec: ResizeSpec, raw: Path, shapes: Int64Array, lengths: Int64Array
) -> UInt8Array | Ragged:
    flat = mapped(raw, (int(lengths.sum()),))
    if isinstance(images, EncodedImages) and raw.suffix == PACKED:
        return Packed(flat, lengths, shapes, replace(spec, half=images.half))
    return shaped(flat, shapes, spec)


def _clear_abandoned(folder: Path) -> None:
    """Removes what killed scans left, which may be as large as a data set. One that runs writes all the time."""
    for path in abandoned_files(folder, ABANDONED):
        path.unlink(missing_ok=True)
    for path in (each for suffix in UNFINISHED for each in folder.glob(f"*{suffix}")):
        with suppress(OSError):  # another process may have removed it
            if time.time() - path.stat().st_mtime > FORGOTTEN:
                path.unlink()


def _key(content: str, spec: ResizeSpec) -> str:
    return blake2b(f"{FORMAT} {READER} {PIL.__version__} {content} {spec}".encode(), digest_size=DIGEST).hexdigest()


def _build(images: ImageSet, spec: ResizeSpec, raw: Path) -> None:
    part, notes = (raw.with_suffix(suffix) for suffix in UNFINISHED)
    try:
        found = _checked(build(images, spec, part, notes, raw.suffix == PACKED), images, spec)
    except UserError:
        part.unlink()
        notes.unlink()
        raise
    written = checksum(part)
    part.replace(raw)
    with atomic_write(raw.with_suffix(".npz")) as file:
        np.savez(
            file, digests=found.digests, shapes=found.shapes, lengths=found.lengths, checksum=written,
            scan=json.dumps(found.scan.to_dict()),
        )  # fmt: skip
        seal_zip(file)
    notes.unlink()


def _checked(found: Portion, images: ImageSet, spec: ResizeSpec) -> Portion:
    """Completes what was found in a whole set.

    Raises:
        UserError: if more than 1 % of the images cannot be read.
    """
    found.scan.transform = images.describe_transform(spec)
    check_readable(found.scan, len(images))
    return found


def check_readable(scan: Scan, count: int) -> None:
    """Checks that at most 1 % of a set's images cannot be read.

    Raises:
        UserError: if there are more.
    """
    if len(scan.unreadable) > MAX_UNREADABLE * count:
        raise UserError(
            f"{len(scan.unreadable)} of {count} images cannot be read, more than 1 %: "
            f"remove or repair {scan.list_unreadable(5)}."
        )


def _labels(images: ImageSet, scan: Scan) -> Int64Array | None:
    return None if images.labels is None else images.labels[scan.rows]
