"""The cache on disk, listed and cleared by the names of its own files, so that nothing else is touched."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gan_lab.common.atomic import abandoned_files

PIXELS, UNFINISHED, STATISTICS, INDEXES, LEFT_OVER = "pixels", "unfinished", "statistics", "indexes", "left over"
SHARDS = "shards"
WHAT = {
    PIXELS: "rendered image sets",
    UNFINISHED: "image sets that were not read to the end; the next run goes on",
    STATISTICS: "statistics and features of images",
    INDEXES: "checksums and sizes of images' files",
    SHARDS: "copies of shards that lie at a URL",
    LEFT_OVER: "parts that killed processes left",
}
"""Kinds of cached files, and what they are."""
ENDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "pixels": {
        PIXELS: (".u8", ".packed", ".npz"),
        UNFINISHED: (".part", ".notes", ".lock"),
        INDEXES: (".content", ".formats", ".shards"),
    },
    "statistics": {STATISTICS: (".safetensors",)},
}
"""Endings by kind, by folder."""
SHOWN = 10
"""Sets of pixels that are listed one by one."""
DAY, HOUR = 86400.0, 3600.0


@dataclass(frozen=True)
class Cached:
    """A thing in the cache.

    Args:
        kind: a key of ``WHAT``.
        files: its files, at least one.
        size: in bytes.
        used: when it was last read or written, in seconds since 1970.
    """

    kind: str
    files: tuple[Path, ...]
    size: int
    used: float


def list_cached(folder: Path) -> list[Cached]:
    """Returns what a cache folder holds, the largest first; files of other names are none of it."""
    found: dict[tuple[str, str], list[Path]] = {}
    for below, kinds in ENDINGS.items():
        for path in (folder / below).glob("*"):
            kind = next((kind for kind, endings in kinds.items() if path.suffix in endings), None)
            if kind and re.fullmatch(r"[0-9a-f]{16,}", path.stem) and path.is_file():
                found.setdefault((kind, path.stem), []).append(path)
    for copies in (folder / SHARDS).glob("*"):
        if re.fullmatch(r"[0-9a-f]{16}", copies.name) and copies.is_dir():
            found[SHARDS, copies.name] = [path for path in copies.rglob("*") if path.is_file()]
    things = [_cached(kind, paths) for (kind, _), paths in found.items() if paths]
    parts = [_cached(LEFT_OVER, [path]) for below in ENDINGS for path in abandoned_files(folder / below, HOUR)]
    return sorted([each for each in (*things, *parts) if each], key=lambda each: -each.size)


def _cached(kind: str, paths: Sequence[Path]) -> Cached | None:
    """Returns None for files that another process has removed."""
    with suppress(OSError):
        stats = [path.stat() for path in paths]
        return Cached(kind, tuple(paths), sum(each.st_size for each in stats), max(each.st_mtime for each in stats))
    return None


def chosen(things: Iterable[Cached], what: str, days: float) -> list[Cached]:
    """Returns what ``clear=`` asks for.

    Args:
        things: in the cache.
        what: "all"; "pixels" or "statistics"; or "unused", for what was not used for ``days``.
        days: only for "unused".
    """
    before = time.time() - days * DAY
    wanted = {"pixels": (PIXELS, UNFINISHED, INDEXES, SHARDS), "statistics": (STATISTICS,)}
    if what == "unused":
        return [each for each in things if each.used < before or each.kind == LEFT_OVER]
    return [each for each in things if what == "all" or each.kind in (*wanted[what], LEFT_OVER)]


def remove(things: Iterable[Cached]) -> Iterator[Cached]:
    """Removes things; yields those that are gone. A set that a process has open stays readable there."""
    for each in things:
        with suppress(OSError):
            for path in sorted(each.files, key=lambda path: path.suffix != ".npz"):  # without it no set is whole
                path.unlink(missing_ok=True)
            yield each


def lines(things: Sequence[Cached]) -> Iterator[str]:
    """Yields a line for each kind, and one for each of the largest sets of pixels."""
    for kind, words in WHAT.items():
        of_kind = [each for each in things if each.kind == kind]
        if of_kind:
            yield f"{kind:<10} {counted(of_kind)}, last used {age(max(each.used for each in of_kind))}: {words}"
        if kind == PIXELS:
            yield from (f"           {_described(each)}" for each in of_kind[:SHOWN])
        if kind == PIXELS and len(of_kind) > SHOWN:
            yield f"           and {len(of_kind) - SHOWN} smaller"


def _described(thing: Cached) -> str:
    name = f"{thing.files[0].stem}{_content(thing)}"
    return f"{bytes_in_words(thing.size):>9}, last used {age(thing.used)}: {name}"


def _content(thing: Cached) -> str:
    """Says how many images of which size a set of pixels has; empty if it cannot be read."""
    import numpy as np

    with suppress(Exception):  # a damaged file can raise anything
        with np.load(next(path for path in thing.files if path.suffix == ".npz")) as kept:
            shapes = kept["shapes"]
        sizes = {(int(height), int(width)) for height, width in shapes}
        size = "{1}×{0} px".format(*sizes.pop()) if len(sizes) == 1 else f"{len(sizes)} sizes"
        return f", {len(shapes):,} images, {size}"
    return ""


def counted(things: Sequence[Cached]) -> str:
    """Returns the number of things and their size in words."""
    return f"{len(things):,} with {bytes_in_words(sum(each.size for each in things))}"


def bytes_in_words(size: float) -> str:
    """Returns a size in bytes, KiB, MiB, GiB or TiB."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"


def age(used: float) -> str:
    """Returns how long ago a moment was, in days."""
    days = int(max(0.0, time.time() - used) / DAY)
    return "today" if days == 0 else "yesterday" if days == 1 else f"{days} days ago"
