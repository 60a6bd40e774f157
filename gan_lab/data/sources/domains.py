"""Where the pictures of two domains come from: two folders, pictures side by side, or one set seen in two ways."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.data.reading.files import TESTS, Entry, Files, below, listing, split_up, tops, unwrap
from gan_lab.data.reading.pictures import Pictures, Source
from gan_lab.data.sources.arrays import Arrays

Sided = Mapping[str, Mapping[str, Pictures]]
Groups = dict[str, dict[str, list[Entry]]]
"""Files by side and split."""

UNPAIRED = (("trainA", "trainB"), ("A", "B"))
PAIRED = (*UNPAIRED, ("train_label", "train_img"))
NAMED = "two folders or zips with data.a=… and data.b=…"


@dataclass(frozen=True)
class TwoFolders:
    """The folders of two domains.

    Args:
        root: a folder or zip that has both in a known layout; or None.
        a, b: instead, two folders or zips, relative to the root if there is one.
        test_a, test_b: of their test splits, likewise.
    """

    root: str | None = None
    a: str | None = None
    b: str | None = None
    test_a: str | None = None
    test_b: str | None = None

    def found(self, layouts: Sequence[tuple[str, str]]) -> Groups | None:
        """Files by side, if two folders are named or the root has them in one of the layouts.

        Raises:
            UserError: for what is missing.
        """
        if self.a is None and self.b is None:
            return _laid_out(self.entries(), layouts)
        if self.a is None or self.b is None:
            raise UserError(f"data.{'b' if self.b is None else 'a'} is missing: name {NAMED}.")
        return {"a": self._named("a", self.a, self.test_a), "b": self._named("b", self.b, self.test_b)}

    def entries(self) -> list[Entry]:
        """All pictures below the root."""
        if self.root is None:
            raise UserError(f"data.root must be given, the path of a folder or zip; or else {NAMED}.")
        return listing(Path(self.root).expanduser())

    def _named(self, side: str, path: str, test: str | None) -> dict[str, list[Entry]]:
        folder = Path(self.root or "").expanduser()
        entries = unwrap(listing(folder / Path(path).expanduser(), f"data.{side}"))
        if test is None:
            return split_up(entries)
        return {"train": entries, "test": unwrap(listing(folder / Path(test).expanduser(), f"data.test_{side}"))}


def _laid_out(entries: list[Entry], layouts: Sequence[tuple[str, str]]) -> Groups | None:
    """Looks for the folders of a layout, below those that all pictures share."""
    while entries:
        found = tops(entries)
        for names in layouts:
            if all(name.lower() in found for name in names):
                return {side: _with_test(found, name.lower()) for side, name in zip("ab", names, strict=True)}
        if len(found) != 1 or "" in found:
            return None
        entries = below(entries)
    return None


def _with_test(found: Mapping[str, list[Entry]], name: str) -> dict[str, list[Entry]]:
    """The folder ``trainA`` with the ``testA`` or ``valA`` beside it, or with the splits inside it."""
    others = (name.replace("train", test) for test in TESTS)
    test = next((other for other in others if other != name and other in found), None)
    entries = below(found[name])
    return split_up(entries) if test is None else {"train": entries, "test": below(found[test])}


def _where(entries: list[Entry]) -> str:
    """The folders that have pictures, in words."""
    names = sorted({entry.parts[0] if len(entry.parts) > 1 else "no folder" for entry in entries})
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


class Unpaired:
    """Two folders of pictures that have nothing to do with each other (satisfies ``TwoSided``).

    Known layouts are ``trainA``, ``trainB`` and perhaps ``testA``, ``testB``; and ``A``, ``B``.

    Args:
        folders: where they are.
        prepare: called before the first look, to fetch what is missing.
    """

    def __init__(self, folders: TwoFolders, prepare: Callable[[], None] = lambda: None) -> None:
        self.folders, self.prepare = folders, prepare

    def sides(self) -> Sided:
        """Splits of "a" and "b".

        Raises:
            UserError: for what is missing, saying what is expected.
        """
        self.prepare()
        groups = self.folders.found(UNPAIRED)
        if groups is None:
            raise UserError(
                f"data.root={self.folders.root} must have pictures in folders trainA and trainB (beside them testA and "
                f"testB, if there is a test split), but has them in {_where(self.folders.entries())}: or name {NAMED}."
            )
        return {side: {split: Files(entries) for split, entries in groups[side].items()} for side in "ab"}


class Paired:
    """Pairs: two folders matched by the names of their files, or pictures whose halves belong together (satisfies
    ``TwoSided``).

    Known layouts of folders are those of ``Unpaired``, and ``train_label``, ``train_img`` with ``val_…``.

    Args:
        folders: where they are.
        direction: "a2b" makes the first folder, or the left half, the source (domain "a"); "b2a" the other.
        prepare: called before the first look, to fetch what is missing.
    """

    def __init__(self, folders: TwoFolders, direction: str = "a2b", prepare: Callable[[], None] = lambda: None) -> None:
        if direction not in ("a2b", "b2a"):
            raise UserError(f"data.direction={direction} does not serve: give a2b or b2a.")
        self.folders, self.direction, self.prepare = folders, direction, prepare

    def sides(self) -> Sided:
        """Splits of "a" and "b", whose rows belong together.

        Raises:
            UserError: for what is missing, saying what is expected.
        """
        self.prepare()
        groups = self.folders.found(PAIRED)
        sides = self._halves() if groups is None else _matched(groups)
        return sides if self.direction == "a2b" else {"a": sides["b"], "b": sides["a"]}

    def _halves(self) -> Sided:
        entries = unwrap(self.folders.entries())
        if tops(entries).keys() - {"", "train", *TESTS}:
            raise UserError(
                f"data.root={self.folders.root} must have pairs in folders trainA and trainB, or pictures side by side "
                f"in train and test or in no folder, but has them in {_where(entries)}: or name {NAMED}."
            )
        splits = split_up(entries)
        return {
            side: {split: Files(group, half=half) for split, group in splits.items()}
            for side, half in (("a", "left"), ("b", "right"))
        }


def _matched(groups: Groups) -> Sided:
    """The files of both sides that have the same name but for its ending, in the order of names."""
    if groups["a"].keys() != groups["b"].keys():
        lacking = "a" if "test" in groups["b"] else "b"
        raise UserError(f"Side {lacking} of the pairs has no test split, and the other has one: give both or neither.")
    sides: dict[str, dict[str, Pictures]] = {"a": {}, "b": {}}
    for split in groups["a"]:
        by_stem = {side: _by_stem(groups[side][split]) for side in "ab"}
        stems = sorted(by_stem["a"].keys() & by_stem["b"].keys())
        if not stems:
            one, other = (next(iter(groups[side][split])) for side in "ab")
            raise UserError(
                f"No two pictures of the {split} split have the same name but for its ending, as {one.file} and "
                f"{other.file} should: rename those that belong together alike."
            )
        for side in "ab":
            sides[side][split] = Files([by_stem[side][stem] for stem in stems])
            _tell_left_out(side, split, groups[side][split], [by_stem[side][stem] for stem in stems])
    return sides


def _by_stem(entries: list[Entry]) -> dict[tuple[str, ...], Entry]:
    """Of files that differ in their ending alone, the first."""
    found: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        found.setdefault((*entry.parts[:-1], PurePosixPath(entry.parts[-1]).stem), entry)
    return found


def _tell_left_out(side: str, split: str, entries: list[Entry], taken: list[Entry]) -> None:
    left = sorted(entry.name for entry in set(entries) - set(taken))
    if left:
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        rank_zero_info(f"No partner for {len(left)} of side {side}, {split}, left out: {', '.join(left[:5])}{more}.")


class Derived:
    """Pairs of a picture and what is made from it (satisfies ``TwoSided``).

    Args:
        source: of the pictures, which become the target.
        derive: pictures → the sources of the pairs.
    """

    def __init__(self, source: Source, derive: Callable[[Pictures], Pictures]) -> None:
        self.source, self.derive = source, derive

    def sides(self) -> Sided:
        found = self.source.splits()
        return {"a": {split: self.derive(pictures) for split, pictures in found.items()}, "b": found}


class FakeSides:
    """Random pixels for both sides, for tests (satisfies ``TwoSided``).

    Args:
        count: pictures of each training split; unpaired, "b" has one more, and test splits have half as many.
        domains: what the sides are.
        size: (H, W).
        paired: whether both sides are to be of one length.
    """

    def __init__(self, count: int, domains: Mapping[str, Domain], size: tuple[int, int], paired: bool) -> None:
        self.counts = {"a": count, "b": count if paired else count + 1}
        self.domains, self.size = domains, size

    def sides(self) -> Sided:
        return {side: {split: self._made(side, split) for split in ("train", "test")} for side in "ab"}

    def _made(self, side: str, split: str) -> Arrays:
        domain, count = self.domains[side], self.counts[side]
        count = count if split == "train" else max(1, count // 2)
        rng = np.random.default_rng([ord(side), len(split)])
        high = domain.labels or 256
        return Arrays(rng.integers(0, high, (count, domain.stored_channels, *self.size)).astype(np.uint8))
