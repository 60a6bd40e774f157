"""The index of a folder of shards: what lies in which shard. It is all that is read before the first image."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from pathlib import PurePath
from typing import Any

import numpy as np

from gan_lab.common.errors import UserError
from gan_lab.data.reading.formats import Formats
from gan_lab.data.types import Int64Array

INDEX = "shards.json"
"""The file that ``gan_lab.pack`` writes beside the folders of the splits."""
VERSION = 1
KINDS = ("litdata", "webdataset")
MOST = 1 << 60
"""Images that int64 counts with room to spare."""
DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What the reading of a damaged index raises."""


def lies_inside(name: str) -> bool:
    """Says whether a name leads to a file below the folder that it is appended to."""
    path = PurePath(name)
    return bool(path.parts) and not path.anchor and ".." not in path.parts and "\0" not in name


def check_names(shards: Iterable["Shard"], place: str) -> None:
    """Checks that the shards of an index, which may come from a stranger, lie in its folder.

    Raises:
        UserError: for an absolute path, and for one with "..".
    """
    outside = next((shard.name for shard in shards if not lies_inside(shard.name)), None)
    if outside is not None:
        raise UserError(f"{place} names the shard {outside!r}, which is not in its folder: pack the images again.")


@dataclass(frozen=True, slots=True)
class Shard:
    """One file with images.

    Args:
        name: path below the root.
        count: number of images.
        digest: a hash of its content, or of what is known of it.
    """

    name: str
    count: int
    digest: str

    def to_list(self) -> list[str | int]:
        """Returns plain values, in the order of the arguments."""
        return [self.name, self.count, self.digest]


def check_shards(shards: Sequence[Shard]) -> None:
    """Checks the types and the numbers of what a file says about shards.

    Raises:
        ValueError: if they are wrong.
    """
    _require("names of shards", all(isinstance(text, str) for shard in shards for text in (shard.name, shard.digest)))
    _require("counts", all(_is_count(shard.count) for shard in shards))
    _require("counts", sum(shard.count for shard in shards) < MOST)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _require(what: str, valid: bool) -> None:
    if not valid:
        raise ValueError(f"its {what} are not valid")


@dataclass(frozen=True)
class ShardIndex:
    """The shards of every split, and what all images have in common.

    Args:
        kind: "litdata" or "webdataset".
        splits: "train" and "test", or "all".
        fields: names and formats of the parts of a sample of litdata, in order.
        classes: number of classes; 0 for images without labels, None if it is not known.
        class_names: names of the classes, in the order of their numbers; empty if they are not known.
        size: (H, W) of all images; None if it is not known.
        channels: 1 or 3; None if it is not known.
    """

    kind: str
    splits: Mapping[str, Sequence[Shard]]
    fields: Sequence[tuple[str, str]] = ()
    classes: int | None = None
    class_names: Sequence[str] = ()
    size: tuple[int, int] | None = None
    channels: int | None = None

    def count(self, split: str) -> int:
        """Returns the number of images in a split."""
        return sum(shard.count for shard in self.splits[split])

    def folders(self) -> set[str]:
        """Returns the first parts of the names of all shards: of parts that were joined, their folders."""
        return {shard.name.split("/")[0] for shards in self.splits.values() for shard in shards}

    @cached_property
    def names(self) -> list[str]:
        """The names of the classes; their numbers, if only these are known."""
        return list(self.class_names) or [str(number) for number in range(self.classes or 0)]

    def formats(self) -> Formats:
        """Returns the size and the colours of the images; nothing if they are not known."""
        if self.size is None or self.channels is None:
            return Formats()
        count = sum(self.count(split) for split in self.splits)
        return Formats(Counter({self.size: count}), count if self.channels == 1 else 0)

    def to_json(self) -> str:
        """Returns the text of the file: one line for each shard."""
        facts = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "splits"}
        lines = {
            split: ",\n".join(json.dumps(shard.to_list()) for shard in shards) for split, shards in self.splits.items()
        }
        splits = ",\n".join(f"{json.dumps(split)}: [\n{text}\n]" for split, text in lines.items())
        return f'{{"version": {VERSION}, {json.dumps(facts)[1:-1]}, "splits": {{\n{splits}\n}}}}\n'

    @classmethod
    def from_json(cls, text: str | bytes, place: str) -> "ShardIndex":
        """Reads what ``to_json`` gave.

        Raises:
            UserError: if it is something else.
        """
        try:
            plain: dict[str, Any] = json.loads(text)
            known = plain.pop("version") == VERSION and plain["kind"] in KINDS
            index = cls._of(plain) if known else None
        except DAMAGE as error:
            raise UserError(f"{place}/{INDEX} is no index of shards ({error}): pack the images again.") from error
        if index is None:
            raise UserError(f"{place}/{INDEX} is of another version of gan_lab: pack the images again.")
        check_names(chain.from_iterable(index.splits.values()), f"{place}/{INDEX}")
        return index

    @classmethod
    def _of(cls, plain: dict[str, Any]) -> "ShardIndex":
        """Returns the index with these arguments, as JSON has them.

        Raises:
            ValueError, LookupError, TypeError, AttributeError: if they are of other types, or make no sense.
        """
        plain["splits"] = {split: [Shard(*each) for each in shards] for split, shards in plain["splits"].items()}
        plain["fields"] = [(name, kind) for name, kind in plain["fields"]]
        plain["size"] = plain["size"] and tuple(plain["size"])
        index = cls(**plain)
        index._check()
        return index

    def _check(self) -> None:
        _require("splits", {*self.splits} in ({"all"}, {"train", "test"}))
        for shards in self.splits.values():
            check_shards(shards)
        texts = [*self.class_names, *(text for field in self.fields for text in field)]
        _require("names", isinstance(self.class_names, list) and all(isinstance(text, str) for text in texts))
        _require("classes", self.classes is None or _is_count(self.classes))
        size = self.size is None or (len(self.size) == 2 and all(_is_count(side) and side > 0 for side in self.size))
        _require("size", size)
        _require("channels", self.channels is None or (_is_count(self.channels) and self.channels in (1, 3)))


def join(parts: Mapping[str, ShardIndex], place: str) -> ShardIndex:
    """Returns the index of a folder with several folders of shards, one after another.

    Args:
        parts: the index of each folder, by its name.
        place: of the data, for messages.

    Raises:
        UserError: if they differ in kind, splits, classes, size or colours.
    """
    first = next(iter(parts.values()))
    facts = [replace(index, splits=dict.fromkeys(index.splits, ())) for index in parts.values()]
    if other := next((name for name, each in zip(parts, facts, strict=True) if each != facts[0]), None):
        raise UserError(f"{place} has folders of shards that differ, such as {other}: pack all in the same way.")
    splits = {
        split: [
            replace(shard, name=f"{name}/{shard.name}")
            for name, index in parts.items()
            for shard in index.splits[split]
        ]
        for split in first.splits
    }
    return replace(first, splits=splits)


class Rows:
    """Consecutive images of shards, by their numbers from 0 on.

    Args:
        shards: the shards.
        start, stop: the first image, and the one after the last.
    """

    def __init__(self, shards: Sequence[Shard], start: int, stop: int) -> None:
        self.shards, self.start, self.stop = shards, start, stop
        self.ends: Int64Array = np.cumsum([shard.count for shard in shards])
        self.begins: Int64Array = np.concatenate([[0], self.ends[:-1]])

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def counts(self) -> Int64Array:
        """The images in each shard that belong to them, int64 (S,)."""
        ends = np.concatenate([[0], self.ends]).clip(self.start, self.stop)
        return np.diff(ends)

    def places(self, rows: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Returns the numbers of the shards of rows 0 … n - 1, and the rows' numbers inside these, int64 (m,) each."""
        whole = rows + self.start
        shards = np.searchsorted(self.ends, whole, side="right")
        return shards, whole - self.begins[shards]

    def fingerprint(self) -> str:
        """Returns a hash of the index of these images."""
        text = json.dumps([self.start, self.stop, [shard.to_list() for shard in self.shards]])
        return blake2b(text.encode(), digest_size=16).hexdigest()
