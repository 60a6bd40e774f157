"""Archives of pictures from the network into a folder: resumed, verified, and unpacked wholly or not at all."""

import fcntl
import gzip
import os
import shutil
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import IO

from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.reading.files import ENDINGS

CHUNK = 1 << 20
PATIENCE = 30  # seconds without a byte
EXPANSION = 20  # times the size of an archive: what unpacks to more is no archive of pictures
FAILURES = (OSError, EOFError, RuntimeError, HTTPException, zipfile.BadZipFile, tarfile.TarError, zlib.error)


@dataclass(frozen=True)
class Archive:
    """A zip or tar.gz of pictures.

    Args:
        urls: mirrors, tried in turn.
        size: in bytes, where it is known.
        sha256: where it is known.
        pictures: how many it holds, where it is known.
    """

    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    pictures: int | None = None

    @property
    def file(self) -> str:
        return PurePosixPath(self.urls[0]).name


def fetch(archive: Archive, root: Path) -> None:
    """Fills the folder with an archive's content, unless the root is there with anything in it.

    The archive is taken from beside the root if it lies there, else from a mirror; a transfer that broke off goes on
    where it stopped. Of several processes one works and the others wait.

    Raises:
        UserError: if no mirror gives the right file, or the disk has no room; it says where to put the file.
    """
    if _is_there(root):
        return
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with _alone(root.parent):
            if not _is_there(root):
                _fill(archive, root)
    except FAILURES as error:
        raise _failure(archive, root, error) from error


def _is_there(root: Path) -> bool:
    return root.is_file() or (root.is_dir() and any(root.iterdir()))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _fill(archive: Archive, root: Path) -> None:
    file = root.parent / archive.file
    if file.is_file():
        _unpack_verified(archive, file, root)
        return
    part, problems = file.with_name(f"{file.name}.part"), []
    for url in archive.urls:
        try:
            _transfer(url, archive, part)
            _accept(archive, part, root)
            return
        except FAILURES as error:
            problems.append(f"{url.split('/')[2]}: {error}")
    raise OSError("; ".join(problems))


def _accept(archive: Archive, part: Path, root: Path) -> None:
    """Unpacks what was transferred; what is damaged is not to be continued."""
    try:
        _unpack_verified(archive, part, root)
    except FAILURES:
        part.unlink()
        raise
    part.unlink()


def _unpack_verified(archive: Archive, file: Path, root: Path) -> None:
    with file.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    if archive.sha256 not in (None, digest):
        raise OSError(f"{file.name} has the sha256 {digest} in place of {archive.sha256}")
    pictures = unpack(file, root, archive.pictures)
    rank_zero_info(f"{root}: {pictures:,} pictures from {archive.file}, sha256 {digest}")


def _failure(archive: Archive, root: Path, error: BaseException) -> UserError:
    return UserError(
        f"{root} has no pictures, and {archive.file} cannot be had ({error}): fetch {' or '.join(archive.urls)} by "
        f"other means and put it at {root.parent / archive.file}, or set data.root to a copy of the set."
    )


def _transfer(url: str, archive: Archive, part: Path) -> None:
    """The rest of the file, or all of it from a server that knows no parts."""
    have = part.stat().st_size if part.is_file() else 0
    answer = _answer(url, have)
    if answer is None:
        return
    with answer:
        have = have if answer.status == 206 else 0
        length = answer.headers.get("Content-Length")
        whole = None if length is None else have + int(length)
        if whole and archive.size not in (None, whole):
            raise OSError(f"it offers {whole:,} bytes in place of {archive.size:,}")
        _check_room(part.parent, 2 * (whole or 0) - have)
        blocks = track(_blocks(answer), f"Fetching {archive.file}", ((whole or 0) - have) / CHUNK or None)
        with part.open("ab" if have else "wb") as stream:
            stream.writelines(blocks)
    if whole and part.stat().st_size != whole:
        raise OSError(f"the connection broke after {part.stat().st_size:,} of {whole:,} bytes, run it again to go on")


def _answer(url: str, have: int) -> HTTPResponse | None:
    """What follows the first ``have`` bytes, everything if that is less; None if nothing follows."""
    try:
        return _get(url, {"Range": f"bytes={have}-"} if have else {})
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        return None if error.headers.get("Content-Range") == f"bytes */{have}" else _get(url, {})


def _get(url: str, headers: dict[str, str]) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "gan_lab", **headers})
    answer: HTTPResponse = urllib.request.urlopen(request, timeout=PATIENCE)
    return answer


def _blocks(stream: IO[bytes] | HTTPResponse | gzip.GzipFile) -> Iterator[bytes]:
    while block := stream.read(CHUNK):
        yield block


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder} has {free >> 20:,} MiB free and {needed >> 20:,} MiB are needed")


def unpack(file: Path, root: Path, pictures: int | None = None) -> int:
    """Unpacks a zip or tar.gz into ``root``, all of it or nothing; returns the number of pictures.

    Args:
        file: the archive.
        root: a folder that is not there yet, or empty.
        pictures: how many there must be, if that is known.

    Raises:
        OSError, …: for an archive that is damaged, that leads out of its folder, holds links or devices, is larger than
            an archive of pictures can be, or has another number of pictures.
    """
    room = EXPANSION * file.stat().st_size + CHUNK
    _check_room(root.parent, file.stat().st_size)
    folder, found = root.with_name(f".{root.name}.unpacking"), 0
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    try:
        for name, stream in track(_members(file), f"Unpacking {file.name}"):
            target = folder / _inside(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            room = _copy(stream, target, room)
            found += target.suffix.lower() in ENDINGS
        if not found or pictures not in (None, found):
            raise OSError(f"{file.name} has {found:,} pictures in place of {pictures or 'any'}")
        folder.replace(root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _members(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents, to the end, where the checksums stand.

    Raises:
        OSError: for what is no plain file.
    """
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise OSError(f"{file.name} holds {info.filename}, which is no plain file")
                if not info.is_dir():
                    with archive.open(info) as content:
                        yield info.filename, content
        return
    with gzip.open(file) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as tape:
            for member in tape:
                if not (member.isreg() or member.isdir()):
                    raise OSError(f"{file.name} holds {member.name}, which is no plain file")
                if (part := tape.extractfile(member)) is not None:
                    yield member.name, part
        for _ in _blocks(stream):
            pass


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise OSError(f"the archive holds {name!r}, which leads out of its folder")
    return path


def _copy(content: IO[bytes], target: Path, room: int) -> int:
    """Writes a member; returns the room that is left."""
    with target.open("xb") as stream:
        for block in _blocks(content):
            room -= len(block)
            if room < 0:
                raise OSError("it unpacks to more than an archive of pictures can hold")
            stream.write(block)
    return room
