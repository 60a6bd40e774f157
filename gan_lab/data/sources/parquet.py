"""Images in parquet files as a source: its splits, columns and classes."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from gan_lab.common.hub import without_user
from gan_lab.data.reading.parquet import ParquetTable, parquet_splits
from gan_lab.data.reading.tables import (
    TableImages,
    TablesOfImages,
    choose_column,
    choose_splits,
    usable_labels,
    with_labels,
)


class ParquetImages(TablesOfImages):
    """A parquet file, or a folder of them, with the bytes of image files (satisfies ``ImageSource``).

    Args:
        root: path of the file or folder.
        split, test_split: see ``gan_lab.data.reading.tables.choose_splits``.
        column, label: see ``gan_lab.data.reading.tables.choose_column``.
    """

    choice = "parquet"
    """The choice of ``data``."""

    def __init__(
        self,
        root: str,
        split: str | None = None,
        test_split: str | None = None,
        column: str | None = None,
        label: str | None = None,
    ) -> None:
        self.root, self.names, self.columns = Path(root).expanduser(), (split, test_split), (column, label)

    @cached_property
    def _found(self) -> tuple[dict[str, TableImages], list[str]]:
        files, place = parquet_splits(self.root), without_user(f"data.root={self.root}")
        chosen = choose_splits(list(files), *self.names, place)
        tables = {split: ParquetTable(files[name], place) for split, name in chosen.items()}
        first = next(iter(tables.values()))
        column, label = choose_column(first.columns, first.image_columns, *self.columns, place)
        for table in tables.values():
            table.column = column
        labels = {split: table.labels(label) for split, table in tables.items()} if label is not None else {}
        labels = usable_labels(labels, str(label), self.columns[1] is not None)
        found = with_labels(tables, {split: len(table) for split, table in tables.items()}, labels)
        return found, found_lines(place, chosen, column, label if labels else None)


def found_lines(place: str, chosen: Mapping[str, str], column: str, label: str | None) -> list[str]:
    """Returns a line on the splits and columns that are used."""
    train, test = chosen.get("train", chosen.get("all")), chosen.get("test")
    splits = f"split {train} to train on, {test} to test with" if test else f"split {train}"
    labels = f", classes in {label}" if label else ", no classes"
    return [f"Found in {place}: {splits}; images in column {column}{labels}."]
