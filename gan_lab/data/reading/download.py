"""Archives of images, downloaded into a folder: resumed, verified, and unpacked completely or not at all."""

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
from gan_lab.data.reading.listing import IMAGE_SUFFIXES

CHUNK = 1 << 20
TIMEOUT = 30  # seconds without a byte
MAX_EXPANSION = 20  # an archive that unpacks to more than 20 times its size holds something other than images
FAILURES = (OSError, EOFError, RuntimeError, HTTPException, zipfile.BadZipFile, tarfile.TarError, zlib.error)


_allowed = [True]


@contextmanager
def downloading(allowed: bool) -> Iterator[None]:
    """Allows or forbids downloads while it is open, in this process."""
    _allowed.append(allowed)
    try:
        yield
    finally:
        _allowed.pop()


def check_allowed(what: str, root: Path) -> None:
    """Checks that data that are missing in a folder may be downloaded into it.

    Raises:
        UserError: if not, because the folder comes from a checkpoint and not from the user.
    """
    if not _allowed[-1]:
        raise UserError(
            f"{what} is not in {root}, a folder that the checkpoint names, and is downloaded to no such folder: give "
            "root=…, a folder that has it or gets it."
        )


@dataclass(frozen=True)
class Archive:
    """A zip or tar.gz of images.

    Args:
        urls: mirrors, tried in order.
        size: in bytes, or None if unknown.
        sha256: checksum, or None if unknown.
        images: the number of images in it, or None if unknown.
    """

    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    images: int | None = None

    @property
    def file(self) -> str:
        """The name of the file."""
        return PurePosixPath(self.urls[0]).name


def fetch(archive: Archive, root: Path) -> None:
    """Unpacks an archive into the root folder, unless the root exists and is not empty.

    An archive in the same folder as the root is used if there is one; otherwise it is downloaded. An interrupted
    download continues where it stopped. If several processes call this, one works and the others wait.

    Raises:
        UserError: if no mirror gives the right file, or the disk is full; it says where to put the file.
    """
    if _exists(root):
        return
    check_allowed(archive.file, root)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with _locked(root.parent):
            if not _exists(root):
                _fill(archive, root)
    except FAILURES as error:
        raise _failure(archive, root, error) from error


def _exists(root: Path) -> bool:
    return root.is_file() or (root.is_dir() and any(root.iterdir()))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds a lock that other processes wait for."""
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
            _download(url, archive, part)
            _accept(archive, part, root)
            return
        except FAILURES as error:
            problems.append(f"{url.split('/')[2]}: {error}")
    raise OSError("; ".join(problems))


def _accept(archive: Archive, part: Path, root: Path) -> None:
    """Unpacks a download, and removes it: a damaged one must not be continued."""
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
        raise OSError(f"{file.name} has the sha256 {digest} instead of {archive.sha256}")
    images = unpack(file, root, archive.images)
    rank_zero_info(f"{root}: {images:,} images from {archive.file}, sha256 {digest}")


def _failure(archive: Archive, root: Path, error: BaseException) -> UserError:
    return UserError(
        f"{root} has no images, and {archive.file} is not available ({error}): get {' or '.join(archive.urls)} by "
        f"other means and put it at {root.parent / archive.file}, or set data.root to a copy of the set."
    )


def _download(url: str, archive: Archive, part: Path) -> None:
    """Downloads the rest of the file, or all of it if the server does not support ranges."""
    have = part.stat().st_size if part.is_file() else 0
    response = _request(url, have)
    if response is None:
        return
    with response:
        have = have if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        whole = None if length is None else have + int(length)
        if whole and archive.size not in (None, whole):
            raise OSError(f"it offers {whole:,} bytes instead of {archive.size:,}")
        _check_free_space(part.parent, 2 * (whole or 0) - have)
        blocks = track(_blocks(response), f"Downloading {archive.file}", ((whole or 0) - have) / CHUNK or None)
        with part.open("ab" if have else "wb") as stream:
            stream.writelines(blocks)
    if whole and part.stat().st_size != whole:
        raise OSError(
            f"the connection broke after {part.stat().st_size:,} of {whole:,} bytes, run it again to continue"
        )


def _request(url: str, have: int) -> HTTPResponse | None:
    """Requests what follows the first ``have`` bytes, or the whole file if it is shorter; None if nothing follows."""
    try:
        return _get(url, {"Range": f"bytes={have}-"} if have else {})
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        return None if error.headers.get("Content-Range") == f"bytes */{have}" else _get(url, {})


def _get(url: str, headers: dict[str, str]) -> HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "gan_lab", **headers})
    response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
    return response


def _blocks(stream: IO[bytes] | HTTPResponse | gzip.GzipFile) -> Iterator[bytes]:
    while block := stream.read(CHUNK):
        yield block


def _check_free_space(folder: Path, needed: int) -> None:
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
    _check_free_space(root.parent, file.stat().st_size)
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
