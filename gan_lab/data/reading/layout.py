"""Splits and classes of a folder of images, by the names of its subfolders."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from gan_lab.common.class_names import listed
from gan_lab.common.errors import UserError
from gan_lab.common.wording import counted
from gan_lab.data.reading.listing import Entry, natural_key, role_of, split_folders, strip_top_folder
from gan_lab.data.types import Int64Array

Folders = dict[str, list[Entry]]


@dataclass
class Splits:
    """The images of a folder by split.

    Args:
        entries: images by split, "train" and "test", or "all".
        folders: name of the folder of each split; empty for "all".
        unused: images that belong to no split, by the name of their folder; "" stands for no folder.
    """

    entries: Folders
    folders: dict[str, str] = field(default_factory=dict)
    unused: Folders = field(default_factory=dict)

    def describe(self) -> str:
        """Says which folder is which split, and which are not used; empty if there is nothing to say."""
        named = {"train": "trains", "test": "tests"}
        lines = [f"{self.folders[s]} ({len(self.entries[s]):,} images) {named[s]}" for s in self.folders]
        rest = [f"{name or 'no folder'} ({len(images):,})" for name, images in self.unused.items()]
        return ", ".join(lines) + (f"; not used: images in {listed(rest)}" if rest else "")


def find_splits(entries: Sequence[Entry]) -> Splits:
    """Finds the folders of the splits: beside each other, or in each class.

    Raises:
        UserError: if two folders could be the training split, or there are test folders alone.
    """
    loose, folders = by_folder(unwrap(entries))
    if split_folders(list(folders)):
        return _split(folders, {"": loose} if loose else {})
    if len(folders) > 1 and all(role_of(name) in ("test", "val") for name in folders):
        raise UserError(
            f"There are folders {' and '.join(folders)} but none to train on: name one of them train, or give "
            "data.root=… one of them."
        )
    inner = {name: by_folder(strip_top_folder(images))[1] for name, images in folders.items()}
    if folders and not loose and all(split_folders(list(each)) for each in inner.values()):
        return _split_by_class(inner)
    return Splits({"all": unwrap(entries)})


def split_entries(entries: Sequence[Entry]) -> Folders:
    """Returns the entries of "train" and "test" if folders have such names, else of "all"; see ``find_splits``.

    Raises:
        UserError: as ``find_splits`` does.
    """
    return find_splits(entries).entries


def _split(folders: Folders, unused: Folders) -> Splits:
    """Takes the training folder and the preferred test folder, one with classes if the training folder has them."""
    candidates = list(folders)
    train = next(name for name in folders if role_of(name) == "train")
    with_folders = [name for name in folders if by_folder(strip_top_folder(folders[name]))[1]]
    if len(by_folder(strip_top_folder(folders[train]))[1]) > 1 and split_folders(with_folders):
        candidates = [name for name in folders if name in with_folders or role_of(name) == "train"]
    chosen = split_folders(candidates)
    assert chosen is not None
    unused = unused | {name: images for name, images in folders.items() if name not in chosen.values()}
    return Splits(_unwrap_splits({s: strip_top_folder(folders[name]) for s, name in chosen.items()}), chosen, unused)


def _split_by_class(inner: Mapping[str, Folders]) -> Splits:
    """Joins the splits of each class: ``cats/train/1.png`` becomes ``cats/1.png`` of "train"."""
    entries: Folders = {"train": [], "test": []}
    unused: Folders = {}
    for name, folders in inner.items():
        found = _split(folders, {})
        for split, images in found.entries.items():
            entries[split] += [replace(entry, parts=(name, *entry.parts)) for entry in images]
        unused |= {f"{name}/{each}": images for each, images in found.unused.items()}
    return Splits(entries, {"train": "train in each class", "test": "test in each class"}, unused)


def unwrap(entries: Sequence[Entry]) -> list[Entry]:
    """Removes leading folders that all images share, except loose ones that lie beside a folder of folders."""
    kept = list(entries)
    while True:
        loose, folders = by_folder(kept)
        if len(folders) != 1:
            return kept
        inside = strip_top_folder(next(iter(folders.values())))
        if loose and len(by_folder(inside)[1]) < 2:
            return kept
        kept = loose + inside


def _unwrap_splits(splits: Folders) -> Folders:
    """Removes a folder that repeats a split's name (``train/train``), and one that is alone in every split."""
    while True:
        inner = {split: by_folder(entries) for split, entries in splits.items()}
        alone = {s: not loose and len(folders) == 1 for s, (loose, folders) in inner.items()}
        every = all(alone[s] for s in splits if inner[s][1])
        doubled = {s for s in splits if alone[s] and (every or role_of(next(iter(inner[s][1]))))}
        if not doubled:
            return splits
        splits = {s: strip_top_folder(entries) if s in doubled else entries for s, entries in splits.items()}


def by_folder(entries: Iterable[Entry]) -> tuple[list[Entry], Folders]:
    """Returns the images without a folder, and the others by their first folder."""
    loose: list[Entry] = []
    folders: Folders = {}
    for entry in entries:
        (folders.setdefault(entry.parts[0], []) if len(entry.parts) > 1 else loose).append(entry)
    return loose, folders


@dataclass
class Classes:
    """The classes of the images of every split.

    Args:
        names: names of the classes, in the order of their numbers; empty if there are none.
        labels: the class of each image, int64 (N,), by split; -1 for an image without one.
        origin: where they are from, in words; empty for folders.
    """

    names: list[str]
    labels: dict[str, Int64Array]
    origin: str = ""

    def describe(self, splits: Mapping[str, Sequence[Entry]]) -> str:
        """Says which classes there are, with the number of training images of each, and what has none."""
        training = "train" if "train" in self.labels else "all"
        counts = np.bincount(self.labels[training][self.labels[training] >= 0], minlength=len(self.names))
        named = [f"{name} ({count:,})" for name, count in zip(self.names, counts.tolist(), strict=True)]
        text = f"{len(self.names)} classes{self.origin}: {listed(named)}"
        missed = [e.name for s, found in self.labels.items() for e, k in zip(splits[s], found, strict=True) if k < 0]
        count = f"{counted(len(missed), 'image')} without a class"
        return text + (f"; {count}: {listed(missed, 3)}" if missed else "")


def classes_by_folder(splits: Mapping[str, Sequence[Entry]], order: str = "natural") -> Classes | None:
    """Returns the classes of images in class folders; None if there are fewer than two such folders.

    Args:
        splits: images by split.
        order: of the classes: "natural" puts 2 before 10, "text" sorts by characters.
    """
    tops = {split: list(by_folder(entries)[1]) for split, entries in splits.items()}
    if any(is_sharded(entries) for entries in splits.values()):
        return None
    canonical = _same_names(tops.values())
    names = sorted(set(canonical.values()), key=natural_key if order == "natural" else None)
    if len(names) < 2:
        return None
    number = {name: index for index, name in enumerate(names)}
    labels = {
        split: np.array([number[canonical[e.parts[0]]] if len(e.parts) > 1 else -1 for e in entries], np.int64)
        for split, entries in splits.items()
    }
    return Classes(names, labels)


def _same_names(tops: Iterable[Sequence[str]]) -> dict[str, str]:
    """Maps folders to classes: ``Cats`` of one split is ``cats`` of another, unless a split has both."""
    tops = list(tops)
    if any(len({name.lower() for name in names}) < len(names) for names in tops):
        return {name: name for names in tops for name in names}
    first: dict[str, str] = {}
    return {name: first.setdefault(name.lower(), name) for names in tops for name in names}


def is_sharded(entries: Sequence[Entry]) -> bool:
    """Tells whether folders are shards of one set: ``00003/img00003141.png``, or FFHQ's ``03000/03141.png``.

    Such numbered folders are no classes.
    """
    loose, folders = by_folder(entries)
    if loose or not folders or not all(re.fullmatch(r"\d{5}", name) for name in folders):
        return False
    stems = {name: [entry.parts[-1].partition(".")[0] for entry in images] for name, images in folders.items()}
    if all(re.fullmatch(r"img\d{8}", stem) for each in stems.values() for stem in each):
        return True
    starts = sorted(map(int, folders))
    steps = {after - before for before, after in pairwise(starts)}
    step = min(steps, default=0)
    return step > 1 and all(
        stem.isdigit() and int(name) <= int(stem) < int(name) + step for name, each in stems.items() for stem in each
    )
