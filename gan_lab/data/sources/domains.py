"""Sources of two domains: two folders, images side by side, or two versions of one set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data.checks import check_choice
from gan_lab.data.reading.files import ImageFiles
from gan_lab.data.reading.image_sets import ImageSet, ImageSource
from gan_lab.data.reading.layout import split_entries
from gan_lab.data.reading.listing import (
    TEST_FOLDERS,
    Entry,
    by_top_folder,
    is_image,
    list_images,
    role_of,
    split_folders,
    strip_common_folders,
    strip_top_folder,
)
from gan_lab.data.sources.arrays import ArrayImages

DomainSplits = Mapping[str, Mapping[str, ImageSet]]
Groups = dict[str, dict[str, list[Entry]]]
"""Files by domain and split."""

UNPAIRED = (("trainA", "trainB"), ("A", "B"))
PAIRED = (*UNPAIRED, ("train_label", "train_img"))
"""Known layouts: names of the folders of both domains."""

NAMED_FOLDERS = "two folders or zips with data.a=… and data.b=…"
MAX_NAMES = 5
"""Names that a message lists at most."""


@dataclass(frozen=True)
class DomainFolders:
    """The folders of two domains.

    Args:
        root: a folder or zip that has both in a known layout; or None.
        a, b: two folders or zips instead, relative to the root if there is one; or one image, which is then tested on
            as well.
        test_a, test_b: those of their test splits.
        keys: the keys of a and b, for messages.
    """

    root: str | None = None
    a: str | None = None
    b: str | None = None
    test_a: str | None = None
    test_b: str | None = None
    keys: Mapping[str, str] = field(default_factory=lambda: {"a": "a", "b": "b"})

    def find(self, layouts: Sequence[tuple[str, str]]) -> Groups | None:
        """Returns the files by domain and split, or None if no folders are named and the root has no such layout.

        Raises:
            UserError: for what is missing.
        """
        if self.a is None and self.b is None:
            return _find_layout(self.entries(), layouts)
        if self.a is None or self.b is None:
            named = " and ".join(f"data.{key}=…" for key in self.keys.values())
            missing = self.keys["b" if self.b is None else "a"]
            raise UserError(f"data.{missing} is missing: give two folders or zips with {named}.")
        return {"a": self._named("a", self.a, self.test_a), "b": self._named("b", self.b, self.test_b)}

    def entries(self) -> list[Entry]:
        """Lists all images below the root.

        Raises:
            UserError: if there is no root, or no image in it.
        """
        if self.root is None:
            raise UserError(f"data.root is missing: give the path of a folder or zip, or {NAMED_FOLDERS}.")
        return list_images(Path(self.root).expanduser())

    def _named(self, side: str, path: str, test: str | None) -> dict[str, list[Entry]]:
        entries, is_one = self._entries(path, self.keys[side])
        if test is None:
            return {"train": entries, "test": entries} if is_one else split_entries(entries)
        return {"train": entries, "test": self._entries(test, f"test_{self.keys[side]}")[0]}

    def _entries(self, path: str, key: str) -> tuple[list[Entry], bool]:
        """Returns the images of a folder or zip, or one image, and whether it is one."""
        place = Path(self.root or "").expanduser() / Path(path).expanduser()
        if is_image(place.name) and place.is_file():
            return [Entry((place.name,), str(place))], True
        return strip_common_folders(list_images(place, f"data.{key}")), False


def _find_layout(entries: list[Entry], layouts: Sequence[tuple[str, str]]) -> Groups | None:
    """Looks for the folders of a layout, in the first folder that has more than one subfolder, and in its splits."""
    while entries:
        groups = by_top_folder(entries)
        for names in layouts:
            if all(name.lower() in groups for name in names):
                return {side: _with_test(groups, name.lower()) for side, name in zip("ab", names, strict=True)}
        splits = split_folders(list(groups))
        if splits:
            return _joined({s: _find_layout(strip_top_folder(groups[name]), layouts) for s, name in splits.items()})
        if len(groups) != 1 or "" in groups:
            return None
        entries = strip_top_folder(entries)
    return None


def _joined(splits: Mapping[str, Groups | None]) -> Groups | None:
    """Joins the domains of each split, as in ``train/A`` and ``test/A``; None unless each split has both."""
    whole = [found for found in splits.values() if found is not None and all("all" in found[side] for side in "ab")]
    if len(whole) < len(splits):
        return None
    return {side: {split: found[side]["all"] for split, found in zip(splits, whole, strict=True)} for side in "ab"}


def _with_test(groups: Mapping[str, list[Entry]], name: str) -> dict[str, list[Entry]]:
    """The folder ``trainA`` with its sibling ``testA`` or ``valA``, or else with the splits inside it."""
    siblings = (name.replace("train", test) for test in TEST_FOLDERS)
    test = next((sibling for sibling in siblings if sibling != name and sibling in groups), None)
    entries = strip_top_folder(groups[name])
    return split_entries(entries) if test is None else {"train": entries, "test": strip_top_folder(groups[test])}


def folder_names(entries: list[Entry]) -> str:
    """Returns the folders that have images, in words."""
    names = sorted({entry.parts[0] if len(entry.parts) > 1 else "no folder" for entry in entries})
    return ", ".join(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")


class UnpairedFolders:
    """Two folders of unrelated images (satisfies ``TwoDomainSource``).

    Known layouts are ``trainA``, ``trainB`` and perhaps ``testA``, ``testB``; and ``A``, ``B``.

    Args:
        folders: where they are.
        prepare: called first, to download what is missing.
    """

    def __init__(self, folders: DomainFolders, prepare: Callable[[], None] = lambda: None) -> None:
        self.folders, self.prepare = folders, prepare

    def domain_splits(self) -> DomainSplits:
        """Returns the splits of "a" and "b".

        Raises:
            UserError: for what is missing; it says what is expected.
        """
        self.prepare()
        groups = self.folders.find(UNPAIRED)
        if groups is None:
            raise UserError(
                f"data.root={self.folders.root} must have images in folders trainA and trainB (next to them testA and "
                f"testB, if there is a test split), but has them in {folder_names(self.folders.entries())}: rename "
                f"the folders, or give {NAMED_FOLDERS}."
            )
        return {side: {split: ImageFiles(entries) for split, entries in groups[side].items()} for side in "ab"}


class PairedFolders:
    """Pairs in two folders, matched by file name, or as the halves of each image (satisfies ``TwoDomainSource``).

    Known layouts of folders are those of ``UnpairedFolders``, and ``train_label``, ``train_img`` with ``val_…``.

    Args:
        folders: where they are.
        direction: "a2b" makes the first folder, or the left half, the source (domain "a"); "b2a" the other.
        prepare: called first, to download what is missing.

    Raises:
        UserError: for another direction.
    """

    def __init__(
        self, folders: DomainFolders, direction: str = "a2b", prepare: Callable[[], None] = lambda: None
    ) -> None:
        check_choice("direction", direction, ("a2b", "b2a"))
        self.folders, self.direction, self.prepare = folders, direction, prepare

    def domain_splits(self) -> DomainSplits:
        """Returns the splits of "a" and "b", in which rows of the same number belong together.

        Raises:
            UserError: for what is missing; it says what is expected.
        """
        self.prepare()
        groups = self.folders.find(PAIRED)
        splits = self._halves() if groups is None else matched(groups)
        return splits if self.direction == "a2b" else {"a": splits["b"], "b": splits["a"]}

    def _halves(self) -> DomainSplits:
        entries = strip_common_folders(self.folders.entries())
        if not all(role_of(name) for name in by_top_folder(entries) if name):
            raise UserError(
                f"data.root={self.folders.root} must have pairs in folders trainA and trainB, or images side by side "
                f"in train and test or in no folder, but has them in {folder_names(entries)}: rename the folders, or "
                f"give {NAMED_FOLDERS}."
            )
        splits = split_entries(entries)
        return {
            side: {split: ImageFiles(group, half=half) for split, group in splits.items()}
            for side, half in (("a", "left"), ("b", "right"))
        }


def matched(groups: Groups) -> DomainSplits:
    """Matches the files of both domains by path without suffix, in the order of the paths.

    Raises:
        UserError: if only one domain has a test split, or no names match.
    """
    if groups["a"].keys() != groups["b"].keys():
        lacking, other = ("a", "b") if "test" in groups["b"] else ("b", "a")
        raise UserError(
            f"Domain {lacking} of the pairs has no test split, but domain {other} has: give both or neither."
        )
    splits: dict[str, dict[str, ImageSet]] = {"a": {}, "b": {}}
    for split in groups["a"]:
        named = {side: by_stem(groups[side][split]) for side in "ab"}
        stems = sorted(named["a"].keys() & named["b"].keys())
        if not stems:
            first, second = (next(iter(groups[side][split])) for side in "ab")
            raise UserError(
                f"No two images of the {split} split have the same name apart from the suffix, as {first.file} and "
                f"{second.file} should: give both images of a pair the same name."
            )
        for side in "ab":
            taken = [named[side][stem] for stem in stems]
            splits[side][split] = ImageFiles(taken)
            _log_unmatched(side, split, groups[side][split], taken)
    return splits


def by_stem(entries: list[Entry]) -> dict[tuple[str, ...], Entry]:
    """Returns entries by path without suffix; the first of those that differ in the suffix alone."""
    found: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        found.setdefault((*entry.parts[:-1], PurePosixPath(entry.parts[-1]).stem), entry)
    return found


def _log_unmatched(side: str, split: str, entries: list[Entry], taken: list[Entry]) -> None:
    left = sorted(entry.name for entry in set(entries) - set(taken))
    if left:
        more = f" and {len(left) - MAX_NAMES} more" if len(left) > MAX_NAMES else ""
        rank_zero_info(
            f"{len(left)} images of domain {side}, {split}, have no partner and are left out: "
            f"{', '.join(left[:MAX_NAMES])}{more}."
        )


class DerivedPairs:
    """Pairs of an image and what is computed from it (satisfies ``TwoDomainSource``).

    Args:
        source: of the images, which become the target.
        derive: computes the sources of the pairs.
    """

    def __init__(self, source: ImageSource, derive: Callable[[ImageSet], ImageSet]) -> None:
        self.source, self.derive = source, derive

    def domain_splits(self) -> DomainSplits:
        splits = self.source.splits()
        return {"a": {split: self.derive(images) for split, images in splits.items()}, "b": splits}


class FakeDomains:
    """Random pixels in two domains, for tests (satisfies ``TwoDomainSource``).

    Args:
        count: images of each training split; the unpaired "b" has one more, and test splits have half as many.
        domains: channels or classes of each domain.
        size: (H, W).
        paired: both domains have the same number of images.
    """

    def __init__(self, count: int, domains: Mapping[str, Domain], size: tuple[int, int], paired: bool) -> None:
        self.counts = {"a": count, "b": count if paired else count + 1}
        self.domains, self.size = domains, size

    def domain_splits(self) -> DomainSplits:
        return {side: {split: self._images(side, split) for split in ("train", "test")} for side in "ab"}

    def _images(self, side: str, split: str) -> ArrayImages:
        domain, count = self.domains[side], self.counts[side]
        count = count if split == "train" else max(1, count // 2)
        rng = np.random.default_rng([ord(side), len(split)])
        ids = np.array(domain.class_ids if domain.labels else range(256), np.uint8)
        return ArrayImages(ids[rng.integers(0, len(ids), (count, domain.stored_channels, *self.size))])
