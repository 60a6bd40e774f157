"""Pictures in a folder or in a zip, with or without class subfolders and splits."""

import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from lightning.pytorch.utilities import rank_zero_only

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.reading.images import NoIdsError, decode_image, reason
from gan_lab.data.reading.pictures import Damaged, Decoded, Frame, Indices, Pictures
from gan_lab.data.reading.threads import in_threads

ENDINGS = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm"),
    *(".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)
TESTS = ("test", "val", "valid", "validation")
LARGEST = 1 << 30  # bytes of one member of a zip: what claims more is not unpacked


@dataclass(frozen=True)
class Entry:
    """One picture.

    Args:
        parts: its path below the root, by which it is sorted and classed.
        file: the file, or the zip that holds it.
        member: its name in the zip.
        checksum: what the zip's directory says of its content.
    """

    parts: tuple[str, ...]
    file: Path
    member: str | None = None
    checksum: str = ""

    @property
    def name(self) -> str:
        return "/".join(self.parts)


@dataclass
class Files:
    """Pictures in files, decoded in threads (satisfies ``Pictures``).

    Args:
        entries: the files.
        labels: int64 (N,), or None.
        classes: their number, 0 without labels.
        half: "left" or "right" of each picture alone.
    """

    entries: Sequence[Entry]
    labels: Indices | None = None
    classes: int = 0
    half: str | None = None
    costly: bool = True

    def __len__(self) -> int:
        return len(self.entries)

    def take(self, rows: Indices) -> "Files":
        labels = None if self.labels is None else self.labels[rows]
        return Files([self.entries[row] for row in rows], labels, self.classes, self.half)

    def content(self, memory: Path) -> str:
        """A hash of names and bytes. Those of loose files are read again only if their size or times have changed."""
        return f"{self._content(memory)} {self.half or ''}"

    def _content(self, memory: Path) -> str:
        stamps = _digest(_stamp(entry) for entry in self.entries)
        if all(entry.member for entry in self.entries):
            return stamps
        known = memory / f"{stamps}.content"
        if known.is_file():
            return known.read_text()
        content = _digest(in_threads(_checksum, self.entries))
        with atomic_write(known) as file:
            file.write_text(content)
        return content

    def transform(self, frame: Frame) -> str:
        whole = f"{self.half} half, " if self.half else ""
        return f"{whole}{frame.method}, EXIF applied" + ("" if frame.ids else ", colours in sRGB, alpha on white")

    def render(self, frame: Frame) -> Iterator[Decoded | Damaged]:
        """Every picture in its frame, in order; those that cannot be read with the reason.

        Raises:
            UserError: where class ids are wanted and a file holds colours.
        """
        frame = replace(frame, half=self.half)
        with ExitStack() as opened:
            zips = {
                file: opened.enter_context(zipfile.ZipFile(file)) for file in {e.file for e in self.entries if e.member}
            }
            results = in_threads(partial(_render, zips, frame), self.entries)
            shown = getattr(rank_zero_only, "rank", 0) == 0
            yield from track(results, "Reading pictures", len(self), show=shown)


class Folder:
    """A folder or zip of pictures (satisfies ``Source``).

    Subfolders are classes, in the order of their names. Where there are ``train`` and ``test`` (or ``val``, ``valid``,
    ``validation``) as subfolders or zips, they are the splits. Other files are ignored, and so is whatever begins with
    a dot or ``__``.

    Args:
        root: path of the folder or zip.
    """

    def __init__(self, root: str) -> None:
        self.root = Path(root).expanduser()

    def splits(self) -> dict[str, Pictures]:
        """The splits found, or ``{"all": …}``.

        Raises:
            UserError: if the root is missing, is neither folder nor zip, or has no pictures.
        """
        entries = unwrap(listing(self.root))
        groups = split_up(entries)
        names = _class_names(groups)
        return {split: _labelled(group, names) for split, group in groups.items()}


def listing(root: Path, key: str = "data.root") -> list[Entry]:
    """The pictures in a folder or zip, in the order of their paths.

    Args:
        root: its path.
        key: what the user calls it.

    Raises:
        UserError: if the root is missing, is neither folder nor zip, or has no pictures.
    """
    if not root.exists():
        raise UserError(f"{key}={root} does not exist: give the path of a folder or zip of pictures.")
    entries = sorted(_in_folder(root) if root.is_dir() else _in_zip(root), key=lambda entry: entry.parts)
    if not entries:
        raise UserError(f"{key}={root} has no pictures in it: files ending in {', '.join(ENDINGS)}.")
    return entries


def walked(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders from a root on and the names of their files; through links too, each folder once."""
    seen: set[Path] = set()
    for folder, below, names in os.walk(root, followlinks=True):
        place = Path(folder).resolve()
        if place in seen:
            below.clear()  # a link back: what is in there has its names already
        else:
            seen.add(place)
            yield Path(folder), names


def _in_folder(root: Path) -> Iterator[Entry]:
    for folder, names in walked(root):
        for name in names:
            file = folder / name
            if _is_picture(parts := file.relative_to(root).parts):
                yield Entry(parts, file)
    for split in ("train", *TESTS):
        if (file := root / f"{split}.zip").is_file():
            inside = unwrap(list(_in_zip(file)))
            yield from (Entry((split, *e.parts), e.file, e.member, e.checksum) for e in inside)


def _in_zip(file: Path) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{file} is neither a folder of pictures nor a zip that can be opened ({error}).") from error
    for info in infos:
        parts = PurePosixPath(info.filename).parts
        if not info.is_dir() and _is_picture(parts):
            yield Entry(parts, file, info.filename, f"{info.CRC:08x} {info.file_size}")


def _is_picture(parts: tuple[str, ...]) -> bool:
    return PurePosixPath(parts[-1]).suffix.lower() in ENDINGS and not any(p.startswith((".", "__")) for p in parts)


def unwrap(entries: list[Entry]) -> list[Entry]:
    """Without the folders that all entries share."""
    while entries and all(len(e.parts) > 1 and e.parts[0] == entries[0].parts[0] for e in entries):
        entries = below(entries)
    return entries


def tops(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Entries by their first folder in lower case, "" standing for none."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.parts[0].lower() if len(entry.parts) > 1 else "", []).append(entry)
    return found


def split_up(entries: list[Entry]) -> dict[str, list[Entry]]:
    """``{"train": …, "test": …}`` where the first folders say so, else ``{"all": …}``."""
    found = tops(entries)
    test = next((name for name in TESTS if name in found), None)
    if "train" not in found or test is None:
        return {"all": entries}
    return {"train": below(found["train"]), "test": below(found[test])}


def below(entries: list[Entry]) -> list[Entry]:
    """Without the first folder."""
    return [Entry(e.parts[1:], e.file, e.member, e.checksum) for e in entries]


def _class_names(groups: dict[str, list[Entry]]) -> list[str]:
    """The subfolders, if every picture lies in one and there are several."""
    entries = [entry for group in groups.values() for entry in group]
    names = sorted({entry.parts[0] for entry in entries})
    return names if len(names) > 1 and all(len(entry.parts) > 1 for entry in entries) else []


def _labelled(entries: list[Entry], names: list[str]) -> Files:
    if not names:
        return Files(entries)
    number = {name: index for index, name in enumerate(names)}
    return Files(entries, np.array([number[entry.parts[0]] for entry in entries], np.int64), len(names))


def _render(zips: dict[Path, zipfile.ZipFile], frame: Frame, entry: Entry) -> Decoded | Damaged:
    """A picture in its frame, or the reason why it is not."""
    try:
        with open_entry(zips, entry) as file:
            return decode_image(file, frame)
    except UserError:
        raise
    except NoIdsError as found:
        raise UserError(
            f"{entry.file if entry.member is None else entry.name} is {found} and no label map: give PNG files of one "
            "class id a pixel (mode L or P), or data.domains.….labels=0 to take it as a picture."
        ) from None
    except Exception as problem:  # a damaged file raises whatever its decoder happens to
        return Damaged(entry.name, reason(problem))


def open_entry(zips: dict[Path, zipfile.ZipFile], entry: Entry) -> BinaryIO:
    """The bytes of a picture; ``zips`` are the archives, open.

    Raises:
        OSError, ValueError, …: if there are none to be had, or a member claims to be very large.
    """
    if entry.member is None:
        return entry.file.open("rb")
    if zips[entry.file].getinfo(entry.member).file_size > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 20} MiB")
    return BytesIO(zips[entry.file].read(entry.member))


def _stamp(entry: Entry) -> str:
    if entry.member is not None:
        return f"{entry.name} {entry.checksum}"
    try:
        found = entry.file.stat()
    except OSError as error:
        return f"{entry.name} {error.errno}"
    # ctime catches bytes exchanged under a kept modification time
    facts = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return f"{entry.name} {facts}"


def _checksum(entry: Entry) -> str:
    if entry.member is not None:
        return f"{entry.name} {entry.checksum}"
    try:
        return f"{entry.name} {blake2b(entry.file.read_bytes(), digest_size=16).hexdigest()}"
    except OSError as error:
        return f"{entry.name} {error.errno}"


def _digest(lines: Iterator[str]) -> str:
    digest = blake2b(digest_size=16)
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
