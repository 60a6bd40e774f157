"""Atomic writes: a file is complete or absent; and errors of writing, which are one sentence everywhere."""

import errno
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path, PurePath
from tempfile import mkdtemp
from uuid import uuid4

from gan_lab.common.errors import DISK_ERRORS, MAKE_ERRORS, WRITE_ERRORS, UserError, WriteError, disk_sentence

MAX_BYTES = 255
"""The longest name that file systems allow."""

DIGITS = 32
"""Hexadecimal digits in the name of a temporary file."""


@contextmanager
def writing(path: object, errors: Collection[int] = WRITE_ERRORS) -> Iterator[None]:
    """Says in one sentence that a file or folder cannot be written, and why.

    Args:
        path: what is written in the block, for the message.
        errors: numbers of the errors that say so.

    Raises:
        WriteError: in place of an ``OSError`` of a disk; others, such as those of a network, pass.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, WriteError) or error.errno not in errors:
            raise
        wrong = WriteError(disk_sentence(error, path))
        wrong.errno = error.errno
        raise wrong from error


def make_folder(folder: Path) -> None:
    """Makes a folder, and those that it lies in, unless it exists.

    Raises:
        WriteError: if it cannot be made.
    """
    with writing(folder, MAKE_ERRORS):
        folder.mkdir(parents=True, exist_ok=True)


def check_place(folder: Path, key: str) -> None:
    """Checks that a folder exists or can be made, and takes files; leaves nothing behind.

    Args:
        folder: the folder.
        key: the key that names it, for the message.

    Raises:
        UserError: if it cannot be made or written to.
    """
    try:
        existing = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        Path(mkdtemp(prefix=".", dir=existing)).rmdir()  # permissions alone do not tell, as below /proc
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise UserError(disk_sentence(error, folder)) from error
        reason = error.strerror or str(error)
        raise UserError(f"{folder} cannot be made or written to ({reason}): give another {key}=….") from error


@contextmanager
def atomic_write(path: Path, sync: bool = True) -> Iterator[Path]:
    """Yields a temporary path to write to, in the same folder and with the same suffix; it then replaces ``path``.

    After an exception nothing is left behind. After a kill a hidden file remains, see ``temporary_files``.

    Args:
        path: the file to write; missing folders are created.
        sync: also wait until the data is on disk, so that a power failure cannot leave an empty file.

    Raises:
        WriteError: if the file cannot be written.
    """
    with writing(path, MAKE_ERRORS):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path):
        temporary = path.with_name(_temporary_name(path, uuid4().hex))
        try:
            temporary.open("xb").close()
            mode = temporary.stat().st_mode
            yield temporary
            temporary.chmod(mode)  # safetensors makes files that only their owner can read
            if sync:
                _sync(temporary)
            temporary.replace(path)
            if sync:
                _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder to write into, beside ``folder``; it then becomes it. After an exception nothing is left.

    Args:
        folder: it is empty, or does not exist yet; those above it are created.

    Raises:
        WriteError: if it cannot be made.
    """
    make_folder(folder.parent)
    with writing(folder):
        temporary = Path(mkdtemp(prefix=".", dir=folder.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            for path in temporary.rglob("*"):
                _sync(path)
            if folder.is_dir():
                folder.rmdir()
            temporary.rename(folder)
            _sync(folder.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    """Returns the permissions that new files of this process lack."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def raise_disk_error(path: Path) -> None:
    """Raises the error of a disk that a library may have hidden while it wrote a file, by writing more to it.

    Raises:
        OSError: if the disk takes no more.
    """
    with path.open("ab") as file:
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())


def temporary_files(path: Path) -> Iterator[Path]:
    """Yields the temporary files that killed writers of ``path`` left in its folder."""
    yield from path.parent.glob(_temporary_name(path, "[0-9a-f]" * DIGITS))


def abandoned_files(folder: Path, seconds: float) -> Iterator[Path]:
    """Yields temporary files in a folder that were not written to for this time: killed writers left them."""
    for path in folder.glob(f".*.{'[0-9a-f]' * DIGITS}*"):
        with suppress(OSError):  # another process may have removed it
            if time.time() - path.stat().st_mtime > seconds:
                yield path


def mark_used(path: Path) -> None:
    """Notes that a cached file was read, as its time of change; one that cannot be changed stays as it is."""
    with suppress(OSError):
        os.utime(path)


def fitting_name(name: str) -> str:
    """Returns the name of a file; one that is too long for file systems is cut, and marked by a hash of the whole."""
    if len(os.fsencode(name)) <= MAX_BYTES:
        return name
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    mark = f"~{blake2b(os.fsencode(name), digest_size=4).hexdigest()}{suffix}"
    return f"{_cut(stem, MAX_BYTES - len(os.fsencode(mark)))}{mark}"


def _temporary_name(path: Path, token: str) -> str:
    room = MAX_BYTES - len(os.fsencode(f"..{path.suffix}")) - DIGITS
    return f".{_cut(path.stem, room)}.{token}{path.suffix}"


def _cut(text: str, room: int) -> str:
    """Returns the beginning of a text that takes at most ``room`` bytes in a file name."""
    while len(os.fsencode(text)) > room:
        text = text[:-1]
    return text


def _sync(path: Path) -> None:
    """Waits until a file, or the entries of a folder, are on disk; not every system can do so for a folder."""
    folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)  # Windows flushes what is open for writing
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (folder and error.errno in (errno.EACCES, errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOTSUP)):
            raise
