"""Atomic writes: a file is complete or absent."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: Path, sync: bool = True) -> Iterator[Path]:
    """Yields a temporary path to write to, in the same folder and with the same suffix; it then replaces ``path``.

    After an exception nothing is left behind. After a kill a hidden file remains, see ``temporary_files``.

    Args:
        path: the file to write; missing folders are created.
        sync: also wait until the data is on disk, so that a power failure cannot leave an empty file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        if sync:
            _sync(temporary)
        temporary.replace(path)
        if sync:
            _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_files(path: Path) -> Iterator[Path]:
    """Yields the temporary files that killed writers of ``path`` left in its folder."""
    yield from path.parent.glob(f".{path.stem}.{'[0-9a-f]' * 32}{path.suffix}")


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
