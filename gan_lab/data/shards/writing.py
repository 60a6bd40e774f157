"""Shards as they are written: the same images give the same bytes."""

import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from io import BytesIO
from itertools import chain
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from gan_lab.common.atomic import writing
from gan_lab.common.errors import UserError
from gan_lab.common.images import png_options, to_pil
from gan_lab.data.shards.index import INDEX, Shard, ShardIndex
from gan_lab.data.shards.places import digest_of
from gan_lab.data.shards.source import LITDATA_INDEX
from gan_lab.data.types import UInt8Array

SHARD_BYTES = 64 << 20
"""Bytes after which a shard ends."""
ENCODINGS = ("pixels", "png")

Images = Iterable[tuple[UInt8Array, int | None]]


def write_shards(
    output: Path,
    splits: Mapping[str, Images],
    kind: str,
    encoding: str = "pixels",
    compression: int = 1,
    class_names: Sequence[str] = (),
    classes: int = 0,
    shard_bytes: int = SHARD_BYTES,
) -> ShardIndex:
    """Writes images as they come, without keeping them, and returns their index; the folder is complete or absent.

    Args:
        output: the folder, which must not exist.
        splits: uint8 (1 or 3, H, W) of one size, each with its class or None, of "train" and "test", or "all".
        kind: "litdata" or "webdataset".
        encoding: "pixels", or "png", which takes less room and more time.
        compression: of PNG files, 0 to 9.
        class_names: names of the classes, if they are known.
        classes: their number.
        shard_bytes: bytes after which a shard ends.

    Raises:
        UserError: if litdata is not installed.
        WriteError: if a file cannot be written.
    """
    part = output.with_name(f".{output.name}.part")
    write = _write_litdata if kind == "litdata" else _write_tars
    with _complete_or_absent(part, output):
        shape: tuple[int, ...] | None = None
        found, fields = {}, []
        for split, images in splits.items():
            first = next(each := iter(images))
            shape = shape or first[0].shape
            folder = part / split if split != "all" else part
            folder.mkdir(exist_ok=True)
            fields = write(folder, _encoded(chain([first], each), encoding, compression), shard_bytes)
            found[split] = [_described(part, file, count) for file, count in _counted(folder, kind)]
        assert shape is not None
        index = ShardIndex(kind, found, fields, classes, class_names, (shape[1], shape[2]), shape[0])
        (part / INDEX).write_text(index.to_json())
    return index


@contextmanager
def _complete_or_absent(part: Path, output: Path) -> Iterator[None]:
    with writing(output):
        rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True)
            yield
            part.replace(output)
        finally:
            rmtree(part, ignore_errors=True)


def _encoded(images: Images, encoding: str, compression: int) -> Iterator[tuple[Any, int | None]]:
    """Yields pixels, or the bytes of PNG files, with classes."""
    import torch

    for pixels, label in images:
        if encoding == "pixels":
            yield np.ascontiguousarray(pixels), label
        else:
            file = BytesIO()
            to_pil(torch.tensor(pixels)).save(file, format="PNG", **png_options(compression))
            yield file.getvalue(), label


def _write_litdata(folder: Path, images: Iterable[tuple[Any, int | None]], shard_bytes: int) -> list[tuple[str, str]]:
    try:
        from litdata.streaming.writer import BinaryWriter
    except ImportError as error:
        raise UserError(
            "format=shards needs litdata: run pip install gan_lab[stream], or give format=webdataset."
        ) from error
    writer = BinaryWriter(str(folder), chunk_bytes=shard_bytes)
    for number, (content, label) in enumerate(images):
        # Bytes would become a table of Arrow, which has to be mapped as a whole.
        image = np.frombuffer(content, np.uint8) if isinstance(content, bytes) else content
        writer[number] = {"image": image} if label is None else {"image": image, "label": label}
    writer.done()
    writer.merge(1)
    file = folder / LITDATA_INDEX
    plain = json.loads(file.read_text())
    digests = [digest_of(folder / each["filename"]) for each in plain["chunks"]]
    # litdata notes the time here, which would differ from one writing to the next, to tell old copies from new ones.
    plain["updated_at"] = blake2b("".join(digests).encode(), digest_size=16).hexdigest()
    file.write_text(json.dumps(plain, sort_keys=True))
    names = ["image", "label"]
    return list(zip(names, plain["config"]["data_format"], strict=False))


def _write_tars(folder: Path, images: Iterable[tuple[Any, int | None]], shard_bytes: int) -> list[tuple[str, str]]:
    rest = enumerate(images)
    for shard, first in enumerate(rest):
        path, size = folder / f"shard-{shard:06d}.tar", 0
        with path.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for number, (content, label) in chain([first], rest):
                _add_sample(archive, f"{number:012d}", content, label)
                size = archive.offset
                if size >= shard_bytes:
                    break
    return []


def _add_sample(archive: tarfile.TarFile, name: str, content: Any, label: int | None) -> None:
    if isinstance(content, bytes):
        _add(archive, f"{name}.png", content)
    else:
        file = BytesIO()
        np.save(file, content)
        _add(archive, f"{name}.npy", file.getvalue())
    if label is not None:
        _add(archive, f"{name}.cls", str(label).encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # of 1970, without an owner: it must not depend on the time or the machine
    info.size = len(content)
    archive.addfile(info, BytesIO(content))


def _counted(folder: Path, kind: str) -> Iterator[tuple[Path, int]]:
    """Yields the shards in a folder, in order, each with its number of images."""
    if kind == "litdata":
        for each in json.loads((folder / LITDATA_INDEX).read_text())["chunks"]:
            yield folder / each["filename"], each["chunk_size"]
        return
    for file in sorted(folder.glob("*.tar")):
        with tarfile.open(file) as archive:
            yield file, sum(not name.endswith(".cls") for name in archive.getnames())


def _described(root: Path, file: Path, count: int) -> Shard:
    return Shard(file.relative_to(root).as_posix(), count, digest_of(file))
