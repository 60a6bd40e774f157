"""Archives unpacked completely or not at all, and never outside their folder."""

import gzip
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from gan_lab.common.progress import track
from gan_lab.common.transfer import CHUNK
from gan_lab.data.reading.listing import IMAGE_SUFFIXES

MAX_EXPANSION = 20  # an archive that unpacks to more than 20 times its size holds something other than images


def _blocks(stream: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while block := stream.read(CHUNK):
        yield block


def check_free_space(folder: Path, needed: int) -> None:
    """Checks that a folder has room.

    Raises:
        OSError: if it has not.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder} has {free >> 20:,} MiB free and {needed >> 20:,} MiB are needed")


def unpack(file: Path, root: Path, images: int | None = None) -> int:
    """Unpacks a zip or tar.gz into ``root``, completely or not at all, and returns the number of images.

    Args:
        file: the archive.
        root: a folder that does not exist yet, or is empty.
        images: the number of images that there must be, or None if unknown.

    Raises:
        OSError, …: if the archive is damaged, has paths outside its folder, holds links or devices, unpacks to more
            than an archive of images can, or has another number of images.
    """
    room = MAX_EXPANSION * file.stat().st_size + CHUNK
    check_free_space(root.parent, file.stat().st_size)
    folder, found = root.with_name(f".{root.name}.unpacking"), 0
    shutil.rmtree(folder, ignore_errors=True)  # left behind by a process that was killed
    try:
        for name, stream in track(_members(file), f"Unpacking {file.name}"):
            target = folder / _inside(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            room = _copy(stream, target, room)
            found += target.suffix.lower() in IMAGE_SUFFIXES
        if not found or images not in (None, found):
            raise OSError(f"{file.name} has {found:,} images instead of {images or 'any'}")
        folder.replace(root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _members(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yields names and contents of the files. Reads to the end, because the checksums are there.

    Raises:
        OSError: for a member that is no regular file.
    """
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise OSError(f"{file.name} holds {info.filename}, which is no regular file")
                if not info.is_dir():
                    with archive.open(info) as content:
                        yield info.filename, content
        return
    with gzip.open(file) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as tape:
            for member in tape:
                if not (member.isreg() or member.isdir()):
                    raise OSError(f"{file.name} holds {member.name}, which is no regular file")
                if (part := tape.extractfile(member)) is not None:
                    yield member.name, part
        for _ in _blocks(stream):
            pass


def _inside(name: str) -> PurePosixPath:
    """Checks that a member stays inside the folder that it is unpacked to.

    Raises:
        OSError: if it does not.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise OSError(f"the archive holds {name!r}, which is outside its folder")
    return path


def _copy(content: IO[bytes], target: Path, room: int) -> int:
    """Writes a member, and returns the number of bytes that may still be written.

    Raises:
        OSError: if there are none.
    """
    with target.open("xb") as stream:
        for block in _blocks(content):
            room -= len(block)
            if room < 0:
                raise OSError("it unpacks to more than an archive of images can hold")
            stream.write(block)
    return room
