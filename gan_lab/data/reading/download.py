"""Archives of images, downloaded into a folder: resumed, verified, and unpacked completely or not at all."""

import tarfile
import time
import urllib.error
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import file_digest
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath

from filelock import FileLock
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.common.transfer import blocks, content_length, open_url
from gan_lab.data.reading.unpacking import check_free_space, unpack

MAX_BYTES = 1 << 35
"""Bytes of an archive of unknown size at most."""

PAUSES = (2.0, 10.0)
"""Seconds before each further attempt."""

FAILURES = (OSError, EOFError, RuntimeError, HTTPException, zipfile.BadZipFile, tarfile.TarError, zlib.error)


_allowed = [True]
"""The innermost ``downloading`` counts."""


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


def check_contact(what: str, advice: str) -> None:
    """Checks that data may be read from elsewhere, such as a URL or the hub.

    Args:
        what: the place.
        advice: what the user can give instead.

    Raises:
        UserError: if not, because the place comes from a checkpoint and not from the user.
    """
    if not _allowed[-1]:
        raise UserError(f"{what} is named by the checkpoint, and no such place is contacted: give {advice}.")


@dataclass(frozen=True)
class Archive:
    """A zip or tar.gz of images.

    Args:
        urls: mirrors, tried in order.
        size: in bytes, or None if unknown.
        sha256: checksum; None if none is published: then the one of the first download is kept beside the data.
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
    path = folder / ".gan_lab.lock"
    with FileLock(path):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file
                path.unlink()


def _fill(archive: Archive, root: Path) -> None:
    file = root.parent / archive.file
    if file.is_file():
        _unpack_verified(archive, file, root)
        return
    part, problems = file.with_name(f"{file.name}.part"), []
    for url in archive.urls:
        try:
            _download_persistently(url, archive, part)
            _accept(archive, part, root)
            return
        except FAILURES as error:
            problems.append(f"{url.split('/')[2]}: {error}")
    raise OSError("; ".join(problems))


def _download_persistently(url: str, archive: Archive, part: Path) -> None:
    """Downloads the file; an archive with a single mirror is tried again from where the connection broke."""
    pauses = list(PAUSES) if len(archive.urls) == 1 else []
    while True:
        try:
            return _download(url, archive, part)
        except (urllib.error.URLError, ConnectionError, TimeoutError, HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if refused or not pauses:
                raise
            rank_zero_info(f"{url} fails ({error}) and is tried again.")
            time.sleep(pauses.pop(0))


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
    record = root.parent / f"{archive.file}.sha256"
    known = archive.sha256 or _recorded(record)
    if known not in (None, digest):
        source = "" if archive.sha256 else f", which {record} has from the first download"
        raise OSError(f"{file.name} has the sha256 {digest} instead of {known}{source}")
    images = unpack(file, root, archive.images)
    rank_zero_info(f"{root}: {images:,} images from {archive.file}, sha256 {digest}")
    if known is None:
        record.write_text(f"{digest}  {archive.file}\n")
        rank_zero_warn(
            f"{archive.file} is unverified, because its publisher gives no sha256: that of this first download is "
            f"kept in {record}, and later ones must have it."
        )


def _recorded(record: Path) -> str | None:
    """Returns the checksum that the first download left, or None."""
    return next(iter(record.read_text().split()), None) if record.is_file() else None


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
        length = content_length(response)
        whole = None if length is None else have + length
        limit = archive.size or MAX_BYTES
        if whole and (whole > limit or archive.size not in (None, whole)):
            raise OSError(f"it offers {whole:,} bytes instead of {'at most ' * (not archive.size)}{limit:,}")
        check_free_space(part.parent, 2 * (whole or archive.size or 0) - have)
        received = track(blocks(response, limit - have), f"Downloading {archive.file}", length, size=len)
        with part.open("ab" if have else "wb") as stream:
            stream.writelines(received)
    expected, size = whole or archive.size, part.stat().st_size
    if expected and size != expected:
        raise ConnectionError(f"the connection broke after {size:,} of {expected:,} bytes, run it again to continue")


def _request(url: str, have: int) -> HTTPResponse | None:
    """Requests what follows the first ``have`` bytes, or the whole file if that is all that the server gives.

    Returns:
        The answer; None if nothing follows.
    """
    if not have:
        return _whole(open_url(url))
    try:
        response = open_url(url, {"Range": f"bytes={have}-"})
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        return None if error.headers.get("Content-Range") == f"bytes */{have}" else _whole(open_url(url))
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        response.close()  # another part than was asked for
        return _whole(open_url(url))
    return response


def _whole(response: HTTPResponse) -> HTTPResponse:
    if response.status == 206:
        response.close()
        raise OSError("it sends a part where the whole was asked for")
    return response
