"""Tables of words: as CSV, and for the terminal."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from gan_lab.common.atomic import atomic_write


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Writes rows of equal keys; returns the path."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return path


def printed(head: Sequence[str], body: Sequence[Sequence[str]]) -> Table:
    """Makes a table for the terminal, without the column of error messages, which are long."""
    table = Table()
    for name in head:
        table.add_column(escape(name), overflow="fold")
    for cells in body:
        table.add_row(*map(escape, cells))
    for column in [column for column in table.columns if column.header == "error"]:
        table.columns.remove(column)
    return table
