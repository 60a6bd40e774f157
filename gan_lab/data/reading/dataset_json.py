"""Labels in ``dataset.json``, as the data sets of StyleGAN, EDM and R3GAN have them.

The file lies beside the images, which are in numbered folders, and holds
``{"labels": [["00000/img00000000.png", 6], …]}``, or null in place of the list. ``gan_lab.pack`` adds ``class_names``,
the names of the classes in the order of their numbers; other programs read the labels alone.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan_lab.common.errors import UserError
from gan_lab.data.reading.layout import Classes
from gan_lab.data.reading.listing import LABELS_FILE, MAX_MEMBER_BYTES, Entry, member_parts

NAMES = "class_names"
"""The key of the names of the classes."""


class Labels(NamedTuple):
    """Labels of images.

    Args:
        classes: of each image, by its file and its name in a zip.
        names: of the classes, in the order of their numbers; empty if they are not known.
    """

    classes: dict[tuple[Path, str | None], int]
    names: tuple[str, ...] = ()


def read_dataset_json(root: Path, entries: Sequence[Entry]) -> Labels | None:
    """Returns the labels that ``dataset.json`` gives to images; empty if it says that they have none.

    It may lie in the folder or zip, in a single folder inside it, and in the zip of a split.

    Args:
        root: the folder or zip.
        entries: its images.

    Returns:
        None if there is no such file, or it is none of labels.

    Raises:
        UserError: if it cannot be read, its labels are no classes, or it names none of the images.
    """
    zips = {root} if root.is_file() else {entry.file for entry in entries if entry.member is not None}
    found = [each for place in (root, *sorted(zips - {root})) if (each := _labels_in(place, entries)) is not None]
    if not found:
        return None
    names = {each.names for each in found}
    return Labels(
        {key: label for each in found for key, label in each.classes.items()}, names.pop() if len(names) == 1 else ()
    )


def classes_of(labels: Labels, splits: Mapping[str, Sequence[Entry]]) -> Classes | None:
    """Returns the classes of every split's images; None if there are fewer than two.

    They have the names that the file gives, if there is one for each, else their numbers.
    """
    count = max(labels.classes.values(), default=-1) + 1
    names = labels.names if len(labels.names) >= count > 0 else [str(number) for number in range(count)]
    if len(names) < 2:
        return None
    numbers = {
        split: np.array([labels.classes.get((e.file, e.member), -1) for e in entries], np.int64)
        for split, entries in splits.items()
    }
    return Classes([*names], numbers, f" by {LABELS_FILE}")


def _labels_in(place: Path, entries: Sequence[Entry]) -> Labels | None:
    """Returns the labels of one folder's or zip's file; None if it has none."""
    text, prefix = _text_in_zip(place) if place.is_file() else _text_in_folder(place)
    if text is None:
        return None
    stated = f"{place}/{LABELS_FILE}"
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UserError(f"{stated} cannot be read ({error}): make the data set again, or remove the file.") from error
    if not isinstance(content, Mapping) or "labels" not in content:
        return None
    classes = _matched(_checked(content["labels"], stated), entries, place, prefix, stated)
    return Labels(classes, _names(content.get(NAMES)))


def _names(names: Any) -> tuple[str, ...]:
    """Returns the names of the classes; none of what is no list of different names."""
    valid = isinstance(names, list) and all(isinstance(each, str) for each in names) and len({*names}) == len(names)
    return tuple(names) if valid else ()


def _text_in_folder(root: Path) -> tuple[bytes | None, tuple[str, ...]]:
    """Returns the content of the file, and the folder below the root that it lies in."""
    inside = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]
    for folder in (root, *(inside if len(inside) == 1 else [])):
        if (folder / LABELS_FILE).is_file():
            return (folder / LABELS_FILE).read_bytes(), folder.relative_to(root).parts
    return None, ()


def _text_in_zip(file: Path) -> tuple[bytes | None, tuple[str, ...]]:
    with zipfile.ZipFile(file) as archive:
        infos = [info for info in archive.infolist() if member_parts(info.filename)[-1:] == (LABELS_FILE,)]
        infos = [info for info in infos if len(member_parts(info.filename)) <= 2 and info.file_size < MAX_MEMBER_BYTES]
        if not infos:
            return None, ()
        info = min(infos, key=lambda each: len(member_parts(each.filename)))
        try:
            return archive.read(info), member_parts(info.filename)[:-1]
        except (zipfile.BadZipFile, RuntimeError, OSError) as error:
            raise UserError(f"{file}/{LABELS_FILE} cannot be read ({error}): make the data set again.") from error


def _checked(labels: Any, stated: str) -> dict[tuple[str, ...], int]:
    """Returns the class by path.

    Raises:
        UserError: if labels are vectors, or no classes.
    """
    pairs = [] if labels is None else labels
    if not isinstance(pairs, list) or not all(isinstance(p, list) and len(p) == 2 for p in pairs):
        raise UserError(f"{stated} is not valid: labels must be a list of [name, class] pairs, or null.")
    vector = next((label for _, label in pairs if isinstance(label, list)), None)
    if vector is not None:
        raise UserError(
            f"{stated} has vectors of {len(vector)} numbers as labels, but models here take one class for each image: "
            "give each image an integer, or set labels to null."
        )
    odd = next((label for _, label in pairs if not _is_class(label)), None)
    if odd is not None or any(label is None for _, label in pairs):
        raise UserError(f"{stated} has the label {json.dumps(odd)}, but classes are 0, 1, 2 and so on.")
    return {member_parts(str(name)): int(label) for name, label in pairs}


def _is_class(label: Any) -> bool:
    if isinstance(label, float):
        return label.is_integer() and label >= 0
    return type(label) is int and label >= 0


def _matched(
    classes: Mapping[tuple[str, ...], int], entries: Sequence[Entry], place: Path, prefix: tuple[str, ...], stated: str
) -> dict[tuple[Path, str | None], int]:
    """Returns the labels by file, for the images that the place holds."""
    found: dict[tuple[Path, str | None], int] = {}
    for entry in entries:
        parts = _parts_below(entry, place)
        if parts is not None and parts[: len(prefix)] == prefix and parts[len(prefix) :] in classes:
            found[entry.file, entry.member] = classes[parts[len(prefix) :]]
    if classes and not found:
        raise UserError(f"{stated} names none of the images, but {'/'.join(next(iter(classes)))}: remove the file.")
    return found


def _parts_below(entry: Entry, place: Path) -> tuple[str, ...] | None:
    """Returns the path of an image below the folder or zip that holds it; None if another does."""
    if entry.member is not None:
        return member_parts(entry.member) if entry.file == place else None
    return entry.parts if place.is_dir() else None
