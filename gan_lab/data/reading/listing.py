"""Image files in a folder or in a zip: what there is, in which splits, and how an entry is opened."""

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from gan_lab.common.errors import UserError
from gan_lab.data.reading import heif
from gan_lab.data.reading.passed_over import PassedOver, special_kind

IMAGE_SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm"),
    *(".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
    *heif.SUFFIXES,
)
TEST_FOLDERS = ("test", "val", "valid", "validation")
"""Names of the folder of the test split, in order of preference."""

MAX_MEMBER_BYTES = 1 << 30
"""A zip's member that claims a larger size is not unpacked."""


@dataclass(frozen=True)
class Entry:
    """One image file.

    Args:
        parts: path below the root; images are sorted and assigned to classes by it.
        file: the file itself, or the zip that holds it.
        member: name inside the zip, or None.
        checksum: what the zip's directory states about the content.
    """

    parts: tuple[str, ...]
    file: Path
    member: str | None = None
    checksum: str = ""

    @property
    def name(self) -> str:
        return "/".join(self.parts)


def list_images(root: Path, key: str = "data.root", passed_over: PassedOver | None = None) -> list[Entry]:
    """Lists the images in a folder or zip, in the order of their paths.

    Hidden files, and those whose name or folder begins with ``__``, are left out. Other files, and what is no plain
    file, are passed over and counted.

    Args:
        root: path of the folder or zip.
        key: the user's name for it.
        passed_over: collects what is passed over; None logs it.

    Raises:
        UserError: if the root is missing, is a pipe or a device, is neither a folder nor a zip, or has no images.
    """
    if not root.exists():
        raise UserError(f"{key}={root} does not exist: give the path of a folder or zip of images.")
    if kind := special_kind(root):
        raise UserError(f"{key}={root} is {kind}: give the path of a folder or zip of images.")
    passed = PassedOver() if passed_over is None else passed_over
    found = _in_folder(root, passed) if root.is_dir() else _in_zip(root, passed)
    entries = sorted(found, key=lambda entry: entry.parts)
    if not entries:
        others = f", but {passed.text()}" if passed else ""
        raise UserError(f"{key}={root} has no images{others}: give files ending in {', '.join(IMAGE_SUFFIXES)}.")
    if passed and passed_over is None:
        rank_zero_info(f"{key}={root}: passed over {passed.text()}.")
    return entries


def walk_folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yields folders from a root downwards with the names of their files; follows links, and visits a folder once."""
    seen: set[Path] = set()
    for folder, subfolders, names in os.walk(root, onerror=_say_unopened, followlinks=True):
        place = Path(folder).resolve()
        if place in seen:
            subfolders.clear()  # a link back to a folder whose files are listed already
        else:
            seen.add(place)
            yield Path(folder), names


def _say_unopened(error: OSError) -> None:
    rank_zero_warn(f"{error.filename} cannot be opened ({error.strerror}): the files in it are left out.")


def _in_folder(root: Path, passed: PassedOver) -> Iterator[Entry]:
    zips = {root / f"{split}.zip" for split in ("train", *TEST_FOLDERS)}
    for folder, names in walk_folders(root):
        for name in names:
            file = folder / name
            parts = file.relative_to(root).parts
            if _is_hidden(parts) or file in zips or passed.is_special(file, "/".join(parts)):
                continue
            if _is_image(parts):
                yield Entry(parts, file)
            else:
                passed.add(file, name)
    for split in ("train", *TEST_FOLDERS):
        if (file := root / f"{split}.zip").is_file():
            inside = strip_common_folders(list(_in_zip(file, passed)))
            yield from (Entry((split, *e.parts), e.file, e.member, e.checksum) for e in inside)


def _in_zip(file: Path, passed: PassedOver) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{file} is neither a folder of images nor a zip that can be opened ({error}).") from error
    for info in infos:
        parts = PurePosixPath(info.filename).parts
        if info.is_dir() or _is_hidden(parts) or passed.is_special_member(info):
            continue
        if _is_image(parts):
            yield Entry(parts, file, info.filename, f"{info.CRC:08x} {info.file_size}")
        else:
            passed.add(file, parts[-1])


def _is_image(parts: tuple[str, ...]) -> bool:
    return PurePosixPath(parts[-1]).suffix.lower() in IMAGE_SUFFIXES


def _is_hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith((".", "__")) for part in parts)


def strip_common_folders(entries: list[Entry]) -> list[Entry]:
    """Removes the leading folders that all entries share."""
    while entries and all(len(e.parts) > 1 and e.parts[0] == entries[0].parts[0] for e in entries):
        entries = strip_top_folder(entries)
    return entries


def strip_top_folder(entries: list[Entry]) -> list[Entry]:
    """Removes the first folder of each entry's path."""
    return [Entry(e.parts[1:], e.file, e.member, e.checksum) for e in entries]


def by_top_folder(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Groups entries by their first folder in lower case; "" stands for no folder."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.parts[0].lower() if len(entry.parts) > 1 else "", []).append(entry)
    return groups


def split_entries(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Returns the entries of "train" and "test" if the first folders have such names, else those of "all"."""
    groups = by_top_folder(entries)
    test = next((name for name in TEST_FOLDERS if name in groups), None)
    if "train" not in groups or test is None:
        return {"all": entries}
    return {"train": strip_top_folder(groups["train"]), "test": strip_top_folder(groups[test])}


@contextmanager
def open_zips(entries: Iterable[Entry]) -> Iterator[dict[Path, zipfile.ZipFile]]:
    """Opens the zips that hold some of the entries, by their paths."""
    zips: dict[Path, zipfile.ZipFile] = {}
    try:
        for file in {entry.file for entry in entries if entry.member is not None}:
            zips[file] = zipfile.ZipFile(file)
        yield zips
    finally:
        for archive in zips.values():
            archive.close()


def open_entry(zips: Mapping[Path, zipfile.ZipFile], entry: Entry) -> BinaryIO:
    """Opens an image file for reading.

    Args:
        zips: the open archives, by path.
        entry: the image.

    Raises:
        OSError, ValueError, …: if it cannot be opened, or a zip's member claims a very large size.
    """
    if entry.member is None:
        return entry.file.open("rb")
    if zips[entry.file].getinfo(entry.member).file_size > MAX_MEMBER_BYTES:
        raise ValueError(f"larger than {MAX_MEMBER_BYTES >> 20} MiB")
    return BytesIO(zips[entry.file].read(entry.member))
