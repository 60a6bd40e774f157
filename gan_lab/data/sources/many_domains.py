"""Images of many domains: a folder for each, or the values of a table's columns."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common.class_names import listed
from gan_lab.common.errors import UserError
from gan_lab.common.near_names import nearest
from gan_lab.data.reading.examples import YES, order_of_value, read_table
from gan_lab.data.reading.files import ImageFiles, ImageFolder
from gan_lab.data.reading.image_sets import ImageSet
from gan_lab.data.reading.layout import Classes, find_splits
from gan_lab.data.reading.listing import Entry, list_images

NO = ("no", "false", "n", "f")
MAX_ATTRIBUTES = 12
"""Columns at most: there are two to their power of domains."""


class ManyDomains:
    """Images of many domains (satisfies ``ImageSource``).

    Domains are the classes of ``ImageFolder``, or else are given by a table with file names in its first column: the
    values of one column; or, of several columns with 0 or 1 (yes or no) in each, their combinations. The number of a
    combination has the value of column a as its binary digit a.

    Args:
        root: path of the folder or zip.
        class_order: of class folders, see ``ImageFolder``.
        attributes: path of the table (.csv), relative to the root or to the folder that has the zip; None for folders.
        chosen: the columns.

    Raises:
        UserError: for columns without a table, a table without columns, and too many columns.
    """

    def __init__(
        self, root: str, class_order: str = "natural", attributes: str | None = None, chosen: Sequence[str] = ()
    ) -> None:
        self.folder, self.root = ImageFolder(root, class_order), Path(root).expanduser()
        self.attributes, self.chosen = attributes, list(chosen or ())
        if attributes is None and self.chosen:
            raise UserError("data.chosen= names columns of a table: give data.attributes= its path, too.")
        if attributes is not None and not 1 <= len(self.chosen) <= MAX_ATTRIBUTES:
            raise UserError(
                f"data.chosen={self.chosen} is not valid: give 1 to {MAX_ATTRIBUTES} columns of the table, such as "
                "data.chosen=[Male,Smiling]."
            )

    @property
    def num_attributes(self) -> int:
        """A, the number of columns with 0 or 1; 0 if domains are folders, or the values of one column."""
        return len(self.chosen) if len(self.chosen) > 1 else 0

    def splits(self) -> Mapping[str, ImageSet]:
        """Returns "train" and "test" if there are such folders, else "all", and logs what was found.

        Raises:
            UserError: as ``ImageFolder.splits`` does, for a table that does not fit, and if there are no two domains.
        """
        names = self.class_names()
        if self.attributes is None:
            return self.folder.splits()
        splits, classes = self._from_table
        rank_zero_info(f"Found by {self._table}: {classes.describe(splits)}.")
        return {
            split: ImageFiles(entries, classes.labels[split], len(names), class_names=names)
            for split, entries in splits.items()
        }

    def class_names(self) -> list[str]:
        """Returns the names of the domains, in the order of their numbers.

        Raises:
            UserError: as ``splits`` does.
        """
        names = self.folder.class_names() if self.attributes is None else self._from_table[1].names
        if len(names) < 2:
            found = f"domain {names[0]} alone" if names else "images of no two domains"
            raise UserError(
                f"data.root={self.root} has {found}: give a folder with images of each domain in a subfolder of its "
                "own, or a table of attributes with data.attributes=… and data.chosen=[…]."
            )
        return names

    @property
    def _table(self) -> Path:
        assert self.attributes is not None
        beside = self.root if self.root.is_dir() else self.root.parent
        return beside / Path(self.attributes).expanduser()

    @cached_property
    def _from_table(self) -> tuple[dict[str, list[Entry]], Classes]:
        """Returns the entries of each split, and their classes."""
        splits = find_splits(list_images(self.root)).entries
        rows = read_table(self._table, "data.attributes")
        first = next(iter(rows[0])) if rows else ""
        for column in self.chosen:
            if rows and column not in rows[0]:
                near = nearest(column, [*rows[0]])
                meant = f"did you mean {near}?" if near else f"its columns are {listed([*rows[0]][1:])}."
                raise UserError(f"data.chosen={column} is no column of {self._table}: {meant}")
        by_name = {row[first].strip(): [row.get(column, "").strip() for column in self.chosen] for row in rows}
        values = {
            split: [by_name.get(entry.name) or by_name.get(entry.parts[-1]) or [""] for entry in entries]
            for split, entries in splits.items()
        }
        return splits, self._combinations(values) if self.num_attributes else self._values(values)

    def _values(self, values: Mapping[str, Sequence[Sequence[str]]]) -> Classes:
        """Returns the values of one column as classes; images without one have none."""
        found = sorted({row[0] for rows in values.values() for row in rows} - {""}, key=order_of_value)
        number = {value: place for place, value in enumerate(found)}
        labels = {split: np.array([number.get(row[0], -1) for row in rows], np.int64) for split, rows in values.items()}
        return Classes(_named(self.chosen[0], found), labels, f" by {self.chosen[0]}")

    def _combinations(self, values: Mapping[str, Sequence[Sequence[str]]]) -> Classes:
        """Returns the combinations of columns as classes; images without a value in one of them have none."""
        labels = {split: np.array([self._combination(row) for row in rows], np.int64) for split, rows in values.items()}
        names = [
            "+".join(column for place, column in enumerate(self.chosen) if number >> place & 1) or "none"
            for number in range(2 ** len(self.chosen))
        ]
        return Classes(names, labels, f" by {', '.join(self.chosen)}")

    def _combination(self, row: Sequence[str]) -> int:
        if "" in row:
            return -1
        on = [self._is_on(column, value) for column, value in zip(self.chosen, row, strict=True)]
        return sum(each << place for place, each in enumerate(on))

    def _is_on(self, column: str, value: str) -> bool:
        """Returns whether a value is yes; CelebA writes -1 for no.

        Raises:
            UserError: for a value that is neither yes nor no.
        """
        if value.lower() in ("1", *YES):
            return True
        if value.lower() in ("0", "-1", *NO):
            return False
        raise UserError(
            f"Column {column} of {self._table} has the value {value}: several columns of 0 and 1 can be chosen, or one "
            "column of any values."
        )


def _named(column: str, values: Sequence[str]) -> list[str]:
    """Returns names of values: those of yes and no have the column's name."""
    if len(values) == 2 and values[1].lower() in ("1", *YES) and values[0].lower() in ("0", "-1", *NO):
        return [f"not {column}", column]
    return list(values)
