"""Files of certain names anywhere below a folder that other processes write to."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def files_below(folder: Path, *names: str) -> Iterator[Path]:
    """Yields the files with one of the names, or all without names, at any depth below a folder.

    Folders that vanish meanwhile are passed over (``Path.rglob`` raises): other runs make and remove temporary ones.
    Links to folders are not followed.
    """
    for place, _, files in os.walk(folder):
        yield from (Path(place, name) for name in files if not names or name in names)


def stated_files(folder: Path, *names: str) -> Iterator[tuple[os.stat_result, Path]]:
    """Yields these files with what the system states of each; no links that lead nowhere, nor files just removed."""
    for path in files_below(folder, *names):
        with suppress(OSError):
            stated = path.stat()
            if stat.S_ISREG(stated.st_mode):
                yield stated, path


def newest_first(folder: Path, name: str) -> list[Path]:
    """Returns the files of a name at any depth below a folder, the newest first."""
    found = [(stated.st_mtime, path) for stated, path in stated_files(folder, name)]
    return [path for _, path in sorted(found, key=lambda each: each[0], reverse=True)]
