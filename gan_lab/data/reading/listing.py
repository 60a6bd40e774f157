"""Image files in a folder or in a zip: what there is, in which splits, and how an entry is opened."""

import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
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
ROLES = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "val"
)
"""Splits by the names of their folders, in order of preference: the first of several test folders is used."""
TEST_FOLDERS = tuple(name for name, role in ROLES.items() if role != "train")
"""Names of the folder of the test split, in order of preference."""

LABELS_FILE = "dataset.json"
"""File with the labels of images, as StyleGAN, EDM and R3GAN write it; see ``gan_lab.data.reading.dataset_json``."""

HIDDEN = (".", "__")
"""Beginnings of the names of hidden files and folders."""

MAX_MEMBER_BYTES = 1 << 30
"""A zip's member that claims a larger size is not unpacked."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image file; a million of them take 0.3 GiB.

    Args:
        parts: path below the root; images are sorted and assigned to classes by it.
        path: of the file itself, or of the zip that holds it.
        member: name inside the zip, or None.
        checksum: what the zip's directory states about the content.
    """

    parts: tuple[str, ...]
    path: str
    member: str | None = None
    checksum: str = ""

    @property
    def name(self) -> str:
        return "/".join(self.parts)

    @property
    def file(self) -> Path:
        """The file itself, or the zip that holds it."""
        return Path(self.path)


def role_of(folder: str) -> str | None:
    """Returns the split that a folder's name stands for, "train", "test" or "val"; None for any other name.

    Capitals, and endings as in ``training_set``, do not matter; ``test1`` is "test" too.
    """
    found = re.fullmatch(r"([a-z]+?)(set|data|images|(?<=test)\d)?", re.sub(r"[-_ ]", "", folder.lower()))
    return ROLES.get(found[1]) if found else None


def split_folders(names: Sequence[str]) -> dict[str, str] | None:
    """Returns the names of the folders of "train" and "test", or None if there are none to train on or to test with.

    Of several test folders the first by ``ROLES`` is chosen.

    Raises:
        UserError: if two folders could be the training split.
    """
    order = list(ROLES)
    known = [name for name in names if role_of(name)]
    known.sort(key=lambda name: (order.index(str(role_of(name))), name.lower() not in order, name))
    train = [name for name in known if role_of(name) == "train"]
    if not train or len(train) == len(known):
        return None
    if len(train) > 1:
        raise UserError(f"Both {train[0]} and {train[1]} could be the training split: rename one of them.")
    return {"train": train[0], "test": known[1]}


def natural_key(name: str) -> tuple[list[int | str], str]:
    """Returns a key that sorts names with their numbers as numbers: frame2 before frame10."""
    parts = re.split(r"(\d+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


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
    """Yields folders from a root downwards with the names of their files.

    Links are followed, and a folder that two paths lead to is listed under both. A link back to a folder above is left
    out, and so is, below a folder that is listed again, a link to another that is listed already.
    """
    above: dict[Path, frozenset[Path]] = {}
    repeated: set[Path] = set()
    seen: set[Path] = set()
    for name, subfolders, names in os.walk(root, onerror=_say_unopened, followlinks=True):
        folder, place = Path(name), Path(name).resolve()
        around = above.get(folder.parent, frozenset()) if folder != root else frozenset()
        again = place in seen
        if place in around or (again and folder.parent in repeated and folder.is_symlink()):
            subfolders.clear()
            continue
        seen.add(place)
        above[folder] = around | {place}
        if again or folder.parent in repeated:
            repeated.add(folder)
        yield folder, names


def _say_unopened(error: OSError) -> None:
    rank_zero_warn(f"{error.filename} cannot be opened ({error.strerror}): the files in it are left out.")


def _in_folder(root: Path, passed: PassedOver) -> Iterator[Entry]:
    zips = split_zips(root)
    left_out = {zip.name for zip in zips}
    for folder, names in walk_folders(root):
        above, plain = folder.relative_to(root).parts, _plain_files(folder)
        if _is_hidden(above):
            continue
        for name in names:
            parts = (*above, name)
            if _is_no_image(name) or (name in left_out and not above):
                continue
            if name not in plain and passed.is_special(folder / name, "/".join(parts)):
                continue
            if is_image(name):
                yield Entry(parts, f"{folder}{os.sep}{name}")
            else:
                passed.add(folder / name, name)
    for file in zips:
        inside = _without_wrapper(list(_in_zip(file, passed)))
        yield from (replace(entry, parts=(file.stem, *entry.parts)) for entry in inside)


def _plain_files(folder: Path) -> set[str]:
    """Returns the names of the plain files in a folder, which it states itself: no file is touched."""
    with suppress(OSError), os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_file()}
    return set()


def split_zips(root: Path) -> list[Path]:
    """Returns the zips in a folder that are named after a split, except those that are unpacked beside it."""
    zips = sorted(path for path in root.iterdir() if path.suffix.lower() == ".zip" and path.is_file())
    return [path for path in zips if role_of(path.stem) and not path.with_suffix("").is_dir()]


def _in_zip(file: Path, passed: PassedOver) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{file} is neither a folder of images nor a zip that can be opened ({error}).") from error
    for info in infos:
        parts = member_parts(info.filename)
        folder = not parts or info.filename.endswith(("/", "\\"))
        if folder or _is_hidden(parts[:-1]) or _is_no_image(parts[-1]) or passed.is_special_member(info):
            continue
        if is_image(parts[-1]):
            yield Entry(parts, str(file), info.filename, f"{info.CRC:08x} {info.file_size}")
        else:
            passed.add(file, parts[-1])


def member_parts(name: str) -> tuple[str, ...]:
    r"""Returns the path of a zip's member; zips made on Windows may have ``\`` between folders."""
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def is_image(name: str) -> bool:
    """Tells whether a file's name is that of an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def _is_no_image(name: str) -> bool:
    """Tells whether a file is hidden, or read as labels: the user need not hear that it is passed over."""
    return name == LABELS_FILE or name.startswith(HIDDEN)


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(HIDDEN) for part in parts)


def strip_common_folders(entries: list[Entry]) -> list[Entry]:
    """Removes the leading folders that all entries share."""
    while entries and all(len(e.parts) > 1 and e.parts[0] == entries[0].parts[0] for e in entries):
        entries = strip_top_folder(entries)
    return entries


def _without_wrapper(entries: list[Entry]) -> list[Entry]:
    """Removes the leading folders that all entries share and that have folders in them, which may be classes."""
    while len({e.parts[0] for e in entries}) == 1 and any(len(e.parts) > 2 for e in entries):
        entries = strip_top_folder(entries)
    return entries


def strip_top_folder(entries: list[Entry]) -> list[Entry]:
    """Removes the first folder of each entry's path."""
    return [Entry(entry.parts[1:], entry.path, entry.member, entry.checksum) for entry in entries]


def by_top_folder(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Groups entries by their first folder in lower case; "" stands for no folder."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.parts[0].lower() if len(entry.parts) > 1 else "", []).append(entry)
    return groups


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
