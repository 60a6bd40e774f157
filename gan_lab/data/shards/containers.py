"""The chunks of litdata, with access to any sample by its place, and what they have in common with other shards.

A shard takes no memory but the table of its samples: it is read with ``os.pread``, or mapped if it holds plain pixels.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from gan_lab.common.errors import UserError
from gan_lab.data.types import Int64Array, UInt8Array

UINT8 = 4
"""The number of uint8 among litdata's types of arrays."""
ENCODED = ("bytes", "jpeg", "image", "no_header_numpy")
"""Formats of litdata that hold the bytes of image files, up to a colon."""
ARROW_END = b"LDARW01\0"
"""The end of chunks that hold a table of Arrow in place of samples: litdata writes bytes, numbers and texts so."""
IMAGE, LABEL = ("image", "jpg", "png", "img"), ("label", "cls", "class")
"""Names of the parts of a sample that are images and labels."""

Content = bytes | UInt8Array
"""An image: the bytes of a file, or pixels uint8 (C, H, W)."""


class Sample(NamedTuple):
    """An image, and its class, -1 if it has none."""

    content: Content
    label: int


class OpenShard(Protocol):
    """A shard that is open.

    Attributes:
        pixels: all pixels, uint8 (n, C, H, W), mapped from the file, if they lie at equal distances; None for others.
        labels: the classes of these, int64 (n,), -1 for none.
    """

    pixels: UInt8Array | None
    labels: Int64Array

    def __len__(self) -> int: ...

    def map(self) -> None:
        """Maps ``pixels``, if that is possible. All images are known to have one size."""

    def sample(self, number: int) -> Sample:
        """Returns a sample.

        Raises:
            OSError, ValueError: if it is damaged.
        """

    def close(self) -> None: ...


@contextmanager
def closed_after_errors(close: Callable[[], object]) -> Iterator[None]:
    """Closes what was opened if the rest fails."""
    try:
        yield
    except BaseException:
        close()
        raise


def mapped(file: int, start: int, distances: Int64Array, first: UInt8Array) -> UInt8Array | None:
    """Maps pixels that lie at equal distances in an open file, uint8 (n, C, H, W); None if they do not.

    Args:
        file: its number.
        start: where those of the first image begin.
        distances: from each image to the next, int64 (n - 1,), or (n,) with the end of the last.
        first: the first image, (C, H, W).
    """
    if not first.flags.c_contiguous or len({*distances.tolist()}) > 1:
        return None
    _, height, width = first.shape
    distance = int(distances[0]) if len(distances) else first.nbytes
    buffer = _map(file)
    n = (len(buffer) - start - first.nbytes) // distance + 1
    return np.ndarray((n, *first.shape), np.uint8, buffer, start, (distance, height * width, width, 1))


def _map(file: int) -> mmap:
    return mmap(file, 0, access=ACCESS_READ)


class LitDataShard:
    """A chunk of litdata: the number of samples, their places, uint32, and the samples.

    Each sample begins with the sizes of its parts, uint32.

    Args:
        path: of the file.
        fields: names and formats of the parts.

    Raises:
        OSError, ValueError: if it is no such file.
    """

    def __init__(self, path: Path, fields: Sequence[tuple[str, str]]) -> None:
        names = [name for name, _ in fields]
        self.image = names.index(_image_name(names))
        self.label = next((names.index(name) for name in LABEL if name in names), None)
        self.encoded = _is_encoded(fields[self.image][1])
        self.sizes = struct.Struct(f"<{len(fields)}I")
        self.file = os.open(path, os.O_RDONLY)
        with closed_after_errors(self.close):
            self.places = _places(self.file)
        self.pixels: UInt8Array | None = None
        self.labels: Int64Array = np.full(len(self), -1)

    def __len__(self) -> int:
        return len(self.places) - 1

    def map(self) -> None:
        """Maps the pixels, if they are the first part, of one length, and classes the only other."""
        distance = np.diff(self.places)
        content = self.sample(0).content
        if self.image or len(self.sizes.unpack(bytes(self.sizes.size))) > 2 or isinstance(content, bytes):
            return
        end = self.places[1] - (0 if self.label is None else 8)
        self.pixels = mapped(self.file, end - content.nbytes, distance, content)
        if self.pixels is not None and self.label is not None:
            self.labels = np.ndarray(len(self), "<i8", _map(self.file), end, (int(distance[0]),))

    def sample(self, number: int) -> Sample:
        start, stop = self.places[number : number + 2]
        record = os.pread(self.file, stop - start, start)
        sizes = self.sizes.unpack_from(record)
        parts = [*accumulate((self.sizes.size, *sizes))]
        image = record[parts[self.image] : parts[self.image + 1]]
        label = -1 if self.label is None else int.from_bytes(record[parts[self.label] :][:8], "little", signed=True)
        return Sample(image if self.encoded else _pixels(image), label)

    def close(self) -> None:
        os.close(self.file)


def _places(file: int) -> list[int]:
    """Returns where the samples of an open chunk begin, and where the last ends.

    Raises:
        ValueError, struct.error: if the file is shorter.
    """
    (count,) = struct.unpack("<I", os.pread(file, 4, 0))
    if 4 * (count + 2) > os.fstat(file).st_size:
        raise ValueError("it is cut off")
    places: list[int] = np.frombuffer(os.pread(file, 4 * (count + 1), 4), "<u4").tolist()
    return places


def _image_name(names: Sequence[str]) -> str:
    """Returns the name of the part of a sample that is its image.

    Raises:
        ValueError: if there is none.
    """
    if found := [name for name in IMAGE if name in names]:
        return found[0]
    raise ValueError("its samples have no image")


class ArrowShard:
    """A chunk of litdata that ends with a table of Arrow, its length, uint32, and a mark. The file is mapped.

    Args:
        path: of the file.

    Raises:
        OSError, ValueError: if it is no such file.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        with pa.memory_map(str(path)) as file:
            whole = file.read_buffer()
        end = whole.size - len(ARROW_END) - 4
        (length,) = struct.unpack("<I", whole[end : end + 4])
        part = whole[end - length : end]
        stored = pa.ipc.open_file(part) if bytes(part[:6]) == b"ARROW1" else pa.ipc.open_stream(part)
        self.table = stored.read_all()
        self.pixels: UInt8Array | None = None
        self.labels: Int64Array = np.full(len(self), -1)
        self.image = _image_name(self.table.column_names)
        self.label = next((name for name in LABEL if name in self.table.column_names), None)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def sample(self, number: int) -> Sample:
        label = None if self.label is None else self.table[self.label][number].as_py()
        return Sample(self.table[self.image][number].as_py(), -1 if label is None else int(label))

    def map(self) -> None:
        """Does nothing: a table holds no pixels."""

    def close(self) -> None:
        self.table = None


def open_chunk(path: Path, fields: Sequence[tuple[str, str]]) -> OpenShard:
    """Opens a chunk of litdata with samples of these fields.

    Raises:
        OSError, ValueError: if it is no such file.
    """
    with path.open("rb") as file:
        file.seek(-min(len(ARROW_END), path.stat().st_size), os.SEEK_END)
        return ArrowShard(path) if file.read() == ARROW_END else LitDataShard(path, fields)


def _is_encoded(kind: str) -> bool:
    return kind.partition(":")[0] in ENCODED


def _pixels(part: bytes) -> UInt8Array:
    """Returns an array that litdata wrote: its type, the number of its dimensions, these, uint32, and its values."""
    kind, dimensions = struct.unpack_from("<2I", part)
    if kind != UINT8:
        raise ValueError("an array of another type than uint8")
    shape = struct.unpack_from(f"<{dimensions}I", part, 8)
    return channels_first(np.frombuffer(part, np.uint8, offset=8 + 4 * dimensions).reshape(shape))


def channels_first(pixels: UInt8Array) -> UInt8Array:
    """Returns pixels (C, H, W), given these, (H, W, C) or (H, W).

    Raises:
        ValueError: for an array that is no image.
    """
    if pixels.ndim == 2:
        return pixels[None]
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3):
        return pixels
    if pixels.ndim == 3 and pixels.shape[2] in (1, 3):
        return pixels.transpose(2, 0, 1)
    raise ValueError(f"an array {pixels.shape} is no image")


def litdata_fields(config: dict[str, Any], place: str) -> list[tuple[str, str]]:
    """Returns names and formats of the parts of a sample, from the index that litdata wrote.

    Raises:
        UserError: for samples that are no images with labels, and for chunks that are compressed or encrypted.
    """
    if (
        config.get("compression")
        or config.get("encryption")
        or config.get("item_loader", "PyTreeLoader") != "PyTreeLoader"
    ):
        raise UserError(f"{place} is compressed, encrypted or of tokens: write it with litdata's defaults.")
    spec = json.loads(config["data_spec"])[1]
    names = json.loads(spec["context"]) if spec["type"] == "builtins.dict" else []
    fields = list(zip(names, config["data_format"], strict=False))
    kinds = dict(fields)
    image = next((kinds[name] for name in IMAGE if name in kinds), "")
    label = next((kinds[name] for name in LABEL if name in kinds), "int")
    if not (_is_encoded(image) or image == "numpy") or label != "int" or len(names) != len(config["data_format"]):
        stated = ", ".join(f"{name} ({kind})" for name, kind in fields) or "no names"
        raise UserError(
            f"{place} has samples with {stated}: give an image, the bytes of a file or an array, and a label, an int."
        )
    return fields
