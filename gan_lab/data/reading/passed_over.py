"""Files in a folder or zip that are no images to us: counted by ending, and said in one line."""

import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from zipfile import ZipInfo

from gan_lab.data.reading.heif import INSTALLABLE

MAX_NAMES = 5
"""Names, and endings, that the line lists at most."""

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What is no plain file, by its type."""


@dataclass
class PassedOver:
    """Files that were passed over in a walk.

    Args:
        endings: number of files by ending, as written; "" for none.
        special: names of what is no plain file, each with its kind.
        own: tells which files the user need not hear of, because this program wrote them.
    """

    endings: Counter[str] = field(default_factory=Counter)
    special: dict[str, str] = field(default_factory=dict)
    own: Callable[[Path], bool] = lambda _: False

    def add(self, file: Path, name: str) -> None:
        """Counts a file, or a zip's member of that name, by its ending."""
        if not self.own(file):
            self.endings[PurePosixPath(name).suffix] += 1

    def is_special(self, file: Path, name: str) -> bool:
        """Tells whether a path leads to something that is no plain file, such as a pipe, and keeps its name.

        Opening a pipe would wait for ever. A missing file is none: reading it gives the reason.
        """
        kind = special_kind(file)
        if kind is not None:
            self.special[name] = kind
        return kind is not None

    def is_special_member(self, info: ZipInfo) -> bool:
        """Tells whether a zip's member is no plain file, such as a link, and keeps its name."""
        kind = {**KINDS, stat.S_IFLNK: "a link"}.get(stat.S_IFMT(info.external_attr >> 16))
        if kind is not None:
            self.special[info.filename] = kind
        return kind is not None

    def __bool__(self) -> bool:
        return bool(self.endings or self.special)

    def text(self) -> str:
        """Returns one line without a period: numbers by ending, what would read them, and names of special files."""
        by_count = [f"{count:,} {_described(ending)}" for ending, count in self.endings.most_common()]
        special = [f"{name} ({kind})" for name, kind in sorted(self.special.items())]
        return ", ".join([*_first(by_count), *_first(special)])


def _described(ending: str) -> str:
    extra = INSTALLABLE.get(ending.lower())
    return (ending or "without ending") + (f" (pip install {extra} reads them)" if extra else "")


def _first(names: list[str]) -> list[str]:
    return names[:MAX_NAMES] + ([f"{len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else [])


def special_kind(file: Path) -> str | None:
    """Returns what a path leads to if that is a pipe, a socket or a device; None for files, folders and nothing."""
    try:
        return KINDS.get(stat.S_IFMT(file.stat().st_mode))
    except OSError:
        return None
