"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: Path, sync: bool = True) -> Iterator[Path]:
    """A path in the same folder, with the same ending, to write to: on leaving, it takes the place of ``path``.

    After an exception nothing is left behind; after a kill, only a hidden file (see ``leftovers``).

    Args:
        sync: also wait until it is on the disk, so that a power cut cannot leave an empty file under the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.stem}.{uuid4().hex}{path.suffix}")
    try:
        yield beside
        if sync:
            _sync(beside)
        beside.replace(path)
        if sync:
            _sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def temporary_files(path: Path) -> Iterator[Path]:
    """What killed writers of ``path`` left beside it."""
    yield from path.parent.glob(f".{path.stem}.{'[0-9a-f]' * 32}{path.suffix}")


def _sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
