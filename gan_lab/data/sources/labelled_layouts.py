"""Layouts of folders with images, label maps and maps of objects: those of public sets, and similar ones."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from gan_lab.common.errors import UserError
from gan_lab.data.reading.layout import Folders, split_entries
from gan_lab.data.reading.listing import TEST_FOLDERS, Entry, by_top_folder, role_of, strip_top_folder

IMAGES, LABELS, OBJECTS = "images", "labels", "instances"
"""The three kinds of files."""

Kinds = Mapping[str, Folders]
"""Files by kind and split. The files of one image have one path, apart from the suffix."""


@dataclass(frozen=True)
class Classes:
    """The classes of label maps.

    Args:
        labels: their number; None if it is not known.
        ids: the stored id of each; empty for 0, 1, ….
        unknown: the ids of pixels without a class, for which networks get a channel; empty if they get none.
    """

    labels: int | None = None
    ids: Sequence[int] = ()
    unknown: Sequence[int] = ()


COCO_STUFF = Classes(182, unknown=[255])
ADE20K = Classes(150, range(1, 151), unknown=[0, 255])
CITYSCAPES = {
    "all": ("labelIds", Classes(35)),  # as in pix2pixHD and SPADE, though the last of the 35 does not occur
    "train": ("labelTrainIds", Classes(19, unknown=[255])),
}
"""The names of Cityscapes' label maps, and their classes, by ``data.ids``."""


@dataclass(frozen=True)
class Found:
    """Files of a known layout, or of named folders.

    Args:
        name: of the layout, for the log.
        files: the files.
        classes: what is known of the classes.
    """

    name: str
    files: Kinds
    classes: Classes = Classes()


def find_layout(entries: list[Entry], ids: str | None = None) -> Found | None:
    """Looks for a known layout, in the first folder that has more than one subfolder; returns None if there is none.

    Args:
        entries: the files.
        ids: which ids Cityscapes' label maps have, "all" or "train"; None for those that there are.

    Raises:
        UserError: if there are no label maps with these ids, or the layout has no such choice.
    """
    while entries:
        groups = by_top_folder(entries)
        for layout in (_cityscapes, _spade, _beside_each_other):
            if found := layout(groups, ids):
                return found
        if len(groups) != 1 or "" in groups:
            return None
        entries = strip_top_folder(entries)
    return None


def _spade(groups: Mapping[str, list[Entry]], ids: str | None) -> Found | None:
    """``train_img``, ``train_label`` and perhaps ``train_inst``, with ``val_…``: COCO-Stuff as SPADE has it."""
    names = {IMAGES: "train_img", LABELS: "train_label", OBJECTS: "train_inst"}
    if not {names[IMAGES], names[LABELS]} <= groups.keys():
        return None
    files = {kind: _with_test(groups, name) for kind, name in names.items() if name in groups}
    is_coco = _all_named(files[LABELS], r"(COCO_\w+_)?\d{12}")
    name = ", ".join(name for name in names.values() if name in groups)
    _refuse_ids(ids, name)
    return Found(f"COCO-Stuff ({name})", files, COCO_STUFF) if is_coco else Found(name, files)


def _with_test(groups: Mapping[str, list[Entry]], name: str) -> Folders:
    siblings = (name.replace("train", test) for test in TEST_FOLDERS)
    test = next((sibling for sibling in siblings if sibling in groups), None)
    entries = strip_top_folder(groups[name])
    return split_entries(entries) if test is None else {"train": entries, "test": strip_top_folder(groups[test])}


def _beside_each_other(groups: Mapping[str, list[Entry]], ids: str | None) -> Found | None:
    """``images`` and ``annotations`` with the splits inside, as ADE20K has them, or ``labels``, ``instances``."""
    labels = next((name for name in ("annotations", "labels") if name in groups), None)
    if "images" not in groups or labels is None:
        return None
    names = {IMAGES: "images", LABELS: labels, OBJECTS: "instances"}
    files = {kind: split_entries(strip_top_folder(groups[name])) for kind, name in names.items() if name in groups}
    name = ", ".join(name for name in names.values() if name in groups)
    _refuse_ids(ids, name)
    is_ade = _all_named(files[LABELS], r"ADE_(train|val)_\d{8}")
    return Found(f"ADE20K ({name})", files, ADE20K) if is_ade else Found(name, files)


def _cityscapes(groups: Mapping[str, list[Entry]], ids: str | None) -> Found | None:
    """``leftImg8bit`` and ``gtFine``, with the folders of the splits, and of the cities in them."""
    if not {"leftimg8bit", "gtfine"} <= groups.keys():
        return None
    fine = groups["gtfine"]
    present = [choice for choice, (suffix, _) in CITYSCAPES.items() if any(_ends(entry, suffix) for entry in fine)]
    choice = next(iter(present), None) if ids is None else ids
    if choice is None or choice not in present:
        wanted = f"*_gtFine_{CITYSCAPES[choice or 'all'][0]}.png"
        other = f", or data.ids={present[0]} for those that there are" if present else ""
        raise UserError(f"gtFine has no files {wanted}: add them (cityscapesscripts writes them){other}.")
    suffix, classes = CITYSCAPES[choice]
    files = {IMAGES: _of_cities(groups["leftimg8bit"], "_leftImg8bit"), LABELS: _of_cities(fine, f"_gtFine_{suffix}")}
    objects = _of_cities(fine, "_gtFine_instanceIds")
    return Found(f"Cityscapes ({suffix})", files | ({OBJECTS: objects} if objects else {}), classes)


def _ends(entry: Entry, suffix: str) -> bool:
    return PurePosixPath(entry.parts[-1]).stem.endswith(suffix)


def _of_cities(entries: list[Entry], suffix: str) -> Folders:
    """Returns the files with a suffix under their names without it: the labels of Cityscapes' test split are empty."""
    found: Folders = {}
    for entry in strip_top_folder(entries):
        split = {"train": "train", "val": "test"}.get(role_of(entry.parts[0]) or "")
        if split and _ends(entry, suffix):
            name = entry.parts[-1].replace(suffix, "")
            found.setdefault(split, []).append(replace(entry, parts=(*entry.parts[1:-1], name)))
    return found if found.keys() != {"train"} else {"all": found["train"]}


def _refuse_ids(ids: str | None, name: str) -> None:
    if ids is not None:
        raise UserError(
            f"data.ids={ids} chooses among the label maps of Cityscapes, and these are {name}: leave it out."
        )


def _all_named(files: Folders, pattern: str) -> bool:
    """Tells whether the names of all files, without suffix, match a pattern."""
    matches: Callable[[str], object] = re.compile(pattern).fullmatch
    return all(matches(PurePosixPath(entry.parts[-1]).stem) for entries in files.values() for entry in entries)
