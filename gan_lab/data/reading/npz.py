"""Images in one .npz file, as guided-diffusion (ADM) and ``gan_lab.sample`` write it, read in order, one at a time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import IO, NamedTuple
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from numpy.lib import format as npy
from PIL import Image

from gan_lab.common.errors import UserError
from gan_lab.common.npz import IMAGES, LABELS
from gan_lab.common.progress import track
from gan_lab.data.reading.formats import Formats
from gan_lab.data.reading.image_sets import DecodedImage
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.types import Int64Array, UInt8Array

EXPECTED = f"give a .npz with {IMAGES}, uint8 (N, H, W, 3), (N, H, W, 1) or (N, H, W), as gan_lab.sample writes it"
DAMAGED = (BadZipFile, EOFError, OSError, ZlibError, NotImplementedError, RuntimeError)
"""Errors of a damaged, encrypted or oddly compressed zip."""


class Header(NamedTuple):
    """The facts that the head of a .npy file states."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


@dataclass
class NpzImages:
    """The images of a .npz file (satisfies ``ImageSet``).

    Args:
        path: of the file.
        rows: the images of it that are taken, in ascending order, int64 (N,); None takes all.

    Raises:
        UserError: if it is no such file.
    """

    path: Path
    rows: Int64Array | None = None
    cacheable: bool = True
    num_jpegs: int = 0

    def __post_init__(self) -> None:
        self.shape = _checked(self.path)

    def __len__(self) -> int:
        return self.shape[0] if self.rows is None else len(self.rows)

    @cached_property
    def labels(self) -> Int64Array | None:
        """Classes, int64 (N,), or None.

        Raises:
            UserError: if ``arr_1`` is not one class number for each image.
        """
        return self._every_label if self._every_label is None or self.rows is None else self._every_label[self.rows]

    @property
    def classes(self) -> int:
        """The number of classes; 0 without labels."""
        return 0 if self._every_label is None else int(self._every_label.max()) + 1

    @cached_property
    def _every_label(self) -> Int64Array | None:
        return _labels(self.path, self.shape[0])

    def take(self, rows: Int64Array) -> "NpzImages":
        """Returns the set of these rows, in ascending order."""
        return replace(self, rows=np.sort(rows if self.rows is None else self.rows[rows]))

    def content_hash(self, cache_folder: Path) -> str:
        """Returns a hash of the file's bytes, and of the rows."""
        with self.path.open("rb") as stream:
            digest = file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest()
        return digest if self.rows is None else f"{digest} {blake2b(self.rows.tobytes(), digest_size=16).hexdigest()}"

    def formats(self) -> Formats:
        """Returns the size and the colours of the images."""
        return Formats(Counter({self.shape[1:3]: len(self)}), len(self) if self.shape[3] == 1 else 0)

    def describe_transform(self, spec: ResizeSpec) -> str:
        return "unchanged pixels" if self._fits(spec) else spec.method

    def _fits(self, spec: ResizeSpec) -> bool:
        _, height, width, channels = self.shape
        return channels == spec.channels and spec.resized(height, width) == (height, width)

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage]:
        """Yields every image, unchanged if it has the size and the channels of the spec.

        Raises:
            UserError: if the file is damaged.
        """
        _, height, width, channels = self.shape
        fits, show = self._fits(spec), getattr(rank_zero_only, "rank", 0) == 0
        for pixels in track(self._pixels(), "Reading images", len(self), show=show):
            if fits:
                image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
            else:
                image = spec.apply(Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels))
            yield DecodedImage(image, width, height, "L" if channels == 1 else "RGB")

    def _pixels(self) -> Iterator[UInt8Array]:
        """Yields the images of the rows, uint8 (H, W, C), and holds no more than one."""
        n, size = self.shape[0], int(np.prod(self.shape[1:]))
        taken = np.ones(n, bool) if self.rows is None else np.isin(np.arange(n), self.rows)
        try:
            with ZipFile(self.path) as archive, archive.open(f"{IMAGES}.npy") as file:
                read_header(file)
                for row in range(n):
                    pixels = _read_exactly(file, size)
                    if taken[row]:
                        yield np.frombuffer(pixels, np.uint8).reshape(self.shape[1:])
        except DAMAGED as error:
            raise UserError(f"{self.path} is damaged ({error}): write it again.") from error


def _read_exactly(file: IO[bytes], size: int) -> bytes:
    """Reads that many bytes; a zip's member gives fewer at once than it is asked for."""
    parts: list[bytes] = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    if size:
        raise EOFError("it ends too early")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_header(file: IO[bytes]) -> Header:
    """Reads the head of a .npy file, and leaves the file at its first value.

    Raises:
        ValueError: if it is none.
    """
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its version {version} is not known")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return Header(*read(file))


def _checked(path: Path) -> tuple[int, int, int, int]:
    """Returns (N, H, W, C) of the images of a file.

    Raises:
        UserError: if it is no .npz, or its ``arr_0`` is missing or holds no images.
    """
    try:
        with ZipFile(path) as archive:
            if f"{IMAGES}.npy" not in archive.namelist():
                names = ", ".join(name.removesuffix(".npy") for name in archive.namelist()[:5]) or "nothing"
                raise UserError(f"{path} has no {IMAGES}, but {names}: {EXPECTED}.")
            info = archive.getinfo(f"{IMAGES}.npy")
            with archive.open(info) as file:
                header = read_header(file)
                values = info.file_size - file.tell()
    except (ValueError, *DAMAGED) as error:
        if isinstance(error, FileNotFoundError):
            raise UserError(f"{path} does not exist: {EXPECTED}.") from error
        raise UserError(f"{path} cannot be read ({error}): {EXPECTED}.") from error
    return _image_shape(path, header, values)


def _image_shape(path: Path, header: Header, values: int) -> tuple[int, int, int, int]:
    shape, dtype = header.shape, header.dtype
    if dtype != np.uint8:
        raise UserError(f"{path} holds {dtype} instead of uint8: {EXPECTED}.")
    whole = (*shape, 1) if len(shape) == 3 else shape
    if len(whole) != 4 or whole[3] not in (1, 3) or 0 in whole or header.fortran:
        order = " in Fortran's order" if header.fortran else ""
        raise UserError(f"{path} holds an array {shape}{order} and no images: {EXPECTED}.")
    if values != np.prod(whole, dtype=object):
        raise UserError(f"{path} holds {values:,} bytes instead of {np.prod(whole, dtype=object):,}: write it again.")
    return whole[0], whole[1], whole[2], whole[3]


def _labels(path: Path, n: int) -> Int64Array | None:
    try:
        with ZipFile(path) as archive:
            if f"{LABELS}.npy" not in archive.namelist():
                return None
            with archive.open(f"{LABELS}.npy") as file:
                shape, _, dtype = read_header(file)
                if dtype.kind not in "iu" or shape != (n,):
                    raise ValueError(f"{dtype} {shape}")
                found = np.frombuffer(_read_exactly(file, n * dtype.itemsize), dtype).astype(np.int64)
        if found.min() < 0:
            raise ValueError(f"{found.min()} is among them")
    except (ValueError, *DAMAGED) as error:
        raise UserError(
            f"{LABELS} of {path} holds no labels ({error}): give one class number from 0 for each of {n:,} images."
        ) from error
    return found
