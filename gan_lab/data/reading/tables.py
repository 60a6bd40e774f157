"""Images in the rows of a table: parquet files, or a data set of Hugging Face's ``datasets``."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from gan_lab.common.class_names import listed
from gan_lab.common.errors import UserError
from gan_lab.common.progress import track
from gan_lab.data.reading.files import JPEG_SUFFIXES, ImageFiles
from gan_lab.data.reading.image_sets import DamagedImage, DecodedImage, ImageSet
from gan_lab.data.reading.images import decode_image, reason
from gan_lab.data.reading.listing import Entry, natural_key, role_of
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.data.reading.threads import map_in_threads
from gan_lab.data.types import Int64Array

JPEG = b"\xff\xd8\xff"
"""The first bytes of a JPEG."""
EMPTY = "it is empty"
"""Why a row without bytes is no image."""


class Table(Protocol):
    """Images as bytes of files, in rows.

    Attributes:
        files: the files that the table consists of.
        groups: first rows of parts that are read at once, and the number of rows, int64, ascending.
    """

    files: Sequence[Path]
    groups: Int64Array

    def contents(self, rows: Int64Array) -> Iterator[bytes]:
        """Yields the bytes of the image files in rows, empty where there are none."""

    def why_empty(self, row: int) -> str:
        """Says why a row has no bytes."""

    def names(self) -> Sequence[str | None]:
        """Returns the names of the image files, (N,), where they are known."""


@dataclass
class TableImages:
    """Images of a table, decoded in threads (satisfies ``ImageSet``).

    Args:
        table: the bytes of the files.
        rows: of the table, int64 (N,).
        labels: int64 (N,), -1 for an image without a class; or None.
        classes: number of classes; 0 without labels.
        class_names: names of the classes, in the order of their numbers.
    """

    table: Table
    rows: Int64Array
    labels: Int64Array | None = None
    classes: int = 0
    class_names: Sequence[str] = ()
    half: str | None = None
    cacheable: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Int64Array) -> "TableImages":
        return replace(self, rows=self.rows[rows], labels=None if self.labels is None else self.labels[rows])

    def content_hash(self, cache_folder: Path) -> str:
        """Returns a hash of the table's files, read again only if their size or times have changed, and of rows."""
        return f"{self._files.content_hash(cache_folder)} {self._hash_of_rows}"

    def stamp(self) -> str:
        """Returns a hash that changes whenever a file does, without reading any."""
        return blake2b(f"{self._files.stamp()} {self._hash_of_rows}".encode(), digest_size=16).hexdigest()

    @property
    def _files(self) -> ImageFiles:
        return ImageFiles([Entry((file.name,), str(file)) for file in self.table.files])

    @cached_property
    def _hash_of_rows(self) -> str:
        return blake2b(np.ascontiguousarray(self.rows).tobytes(), digest_size=16).hexdigest()

    @cached_property
    def num_jpegs(self) -> int:
        """The number of JPEGs, by their names, or by their first bytes if one has no name."""
        names = self.table.names()
        chosen = [names[row] for row in self.rows]
        if None not in chosen:
            return sum(str(name).lower().endswith(JPEG_SUFFIXES) for name in chosen)
        return sum(content.startswith(JPEG) for content in self.contents())

    def describe_transform(self, spec: ResizeSpec) -> str:
        jpegs = f"JPEGs {'reduced by the decoder if large' if spec.shortcut else 'decoded at full size'}, "
        decoding = jpegs if spec.fixed_size and self.num_jpegs else ""
        return f"{decoding}{spec.method}, EXIF applied, colours in sRGB, alpha on white"

    def render(self, spec: ResizeSpec) -> Iterator[DecodedImage | DamagedImage]:
        """Yields every image at the size of the spec, in order; damaged ones with the reason."""
        results = map_in_threads(partial(_decode, self.table, spec), zip(self.rows, self.contents(), strict=True))
        yield from track(results, "Reading images", len(self), show=getattr(rank_zero_only, "rank", 0) == 0)

    def contents(self) -> Iterator[bytes]:
        """Yields the bytes of every image's file, in order."""
        return self.table.contents(self.rows)


def _decode(table: Table, spec: ResizeSpec, row: tuple[int, bytes]) -> DecodedImage | DamagedImage:
    number, content = row
    if not content:
        return DamagedImage(f"row {number}", table.why_empty(int(number)))
    try:
        return decode_image(BytesIO(content), spec)
    except Exception as problem:  # decoders raise many kinds of exceptions for damaged files
        return DamagedImage(f"row {number}", reason(problem))


class Column(NamedTuple):
    """The values of a column of labels.

    Args:
        values: one of each row; empty if they are no single values.
        names: of the classes that its numbers stand for, if it states any.
        nested: the type of its values if each is a list or the like, of which no classes can be made.
    """

    values: Sequence[Any]
    names: Sequence[str] = ()
    nested: str = ""


def usable_labels(columns: Mapping[str, Column], label: str, asked: bool) -> dict[str, Column]:
    """Returns the labels of splits, empty if no classes can be made of them.

    Names of classes are left out where the labels are not their numbers.

    Args:
        columns: the labels of each split.
        label: the column's name.
        asked: whether the user named the column.

    Raises:
        UserError: if no classes can be made of a column that the user named.
    """
    found = next((each.nested for each in columns.values() if each.nested), "")
    values = [value for column in columns.values() for value in column.values if value is not None]
    odd = [value for value in values if not isinstance(value, (str, int)) or _is_negative(value)][:1]
    if not found and not odd:
        named = all(isinstance(value, int) for value in values)
        return {split: each if named else each._replace(names=()) for split, each in columns.items()}
    if not asked:
        return {}
    said = f"is of the type {found}" if found else f"has the value {repr(odd[0])[:60]}"
    raise UserError(f"data.label={label} {said}: give a column of texts or of numbers from 0.")


def with_labels(
    tables: Mapping[str, Table], counts: Mapping[str, int], columns: Mapping[str, Column]
) -> dict[str, TableImages]:
    """Returns the images of splits with their classes.

    Args:
        tables: the images of each split.
        counts: the number of rows of each.
        columns: the labels of each, as ``usable_labels`` returns them; empty for none.
    """
    rows = {split: np.arange(count) for split, count in counts.items()}
    names = _class_names(columns) if columns else []
    if len(names) < 2:
        return {split: TableImages(table, rows[split]) for split, table in tables.items()}
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    found = {}
    for split, table in tables.items():
        column = columns[split]
        known = (_name(value, column.names) for value in column.values)
        labels = np.array([numbers.get(name, -1) for name in known], np.int64)
        found[split] = TableImages(table, rows[split], labels, len(names), names)
    return found


def _class_names(columns: Mapping[str, Column]) -> list[str]:
    """Returns the names of the classes of all splits: those that a column states, else its values in natural order."""
    stated = next((column.names for column in columns.values() if column.names), ())
    if stated:
        return list(stated)
    values = {value for column in columns.values() for value in column.values if value is not None}
    numbers = [value for value in values if type(value) is int and value >= 0]
    if numbers and len(numbers) == len(values - {-1}):
        return [str(number) for number in range(max(numbers) + 1)]
    return sorted(map(str, values), key=natural_key)


def _is_negative(value: object) -> bool:
    return type(value) is int and value < -1


def _name(value: Any, names: Sequence[str]) -> str | None:
    """Returns the name of a value's class; None if it has none."""
    if value is None:
        return None
    return (names[value] if 0 <= value < len(names) else None) if names else str(value)


def choose_splits(found: Sequence[str], split: str | None, test_split: str | None, place: str) -> dict[str, str]:
    """Returns the names of the splits to train on and to test with, "train" and "test", or "all" alone.

    Args:
        found: the names that there are.
        split: the one to train on; None takes the training split, or the only one.
        test_split: the one to test with; None takes the test split, else one for validation, if ``split`` is None.
        place: of the data, for messages.

    Raises:
        UserError: for a name that there is not, and if several could be meant.
    """
    for key, name in (("split", split), ("test_split", test_split)):
        if name is not None and name not in found:
            raise UserError(f"data.{key}={name} is no split of {place}: give one of {listed(list(found))}.")
    roles: dict[str, list[str]] = {}
    for name in found:
        roles.setdefault(role_of(name) or "", []).append(name)
    training = roles.get("train", list(found) if len(found) == 1 else [])
    if split is None and len(training) != 1:
        raise UserError(f"{place} has the splits {listed(list(found))}: give data.split= one of them to train on.")
    train = split or training[0]
    others = [name for role in ("test", "val") for name in roles.get(role, []) if name != train]
    test = test_split or (others[0] if others and role_of(train) == "train" else None)
    if test is None:
        return {"all": train}
    if test == train:
        raise UserError(f"data.test_split={test} is the split that is trained on: give another, or leave it out.")
    return {"train": train, "test": test}


def choose_column(
    columns: Sequence[str], images: Sequence[str], column: str | None, label: str | None, place: str
) -> tuple[str, str | None]:
    """Returns the names of the columns of images and of labels; None if there are no labels.

    Args:
        columns: the names that there are.
        images: those that may hold images.
        column: of images; None takes "image", or the only one that may hold them.
        label: of labels; None takes "label", if there is one.
        place: of the data, for messages.

    Raises:
        UserError: for a name that there is not or that holds no images, and if several could be meant.
    """
    for key, name in (("column", column), ("label", label)):
        if name is not None and name not in columns:
            raise UserError(f"data.{key}={name} is no column of {place}: it has {listed(list(columns))}.")
    if column is not None and column not in images:
        raise UserError(f"data.column={column} of {place} holds no images: {_or_none(images)}.")
    chosen = column or ("image" if "image" in images else images[0] if len(images) == 1 else None)
    if chosen is None:
        raise UserError(f"{place} has the columns {listed(list(columns))}: {_or_none(images)}.")
    return chosen, label or ("label" if "label" in columns else None)


def _or_none(images: Sequence[str]) -> str:
    return f"give data.column= one of {listed(list(images))}" if images else "none of its columns holds images"


class TablesOfImages(ABC):
    """Splits that are tables of images, in one file, a folder or a data set of the hub."""

    @property
    @abstractmethod
    def _found(self) -> tuple[dict[str, TableImages], list[str]]:
        """The splits, and lines that say what was found."""

    def splits(self) -> Mapping[str, ImageSet]:
        """Returns "train" and "test" if there are such splits, else "all".

        Raises:
            UserError: if there are none, they lack what is asked for, or they may not be loaded.
        """
        for line in self._found[1]:
            rank_zero_info(line)
        return self._found[0]

    def class_names(self) -> list[str]:
        """Returns the names of the classes, in the order of their numbers; empty if there are none.

        Raises:
            UserError: as ``splits`` does.
        """
        return list(next(iter(self._found[0].values())).class_names)
