"""Images in parquet files, as the pages of Hugging Face's hub offer them, read by pyarrow.

A column of images holds the bytes of their files, or pairs of ``bytes`` and ``path``.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from gan_lab.common.errors import UserError
from gan_lab.common.hub import without_user
from gan_lab.data.reading.listing import role_of
from gan_lab.data.reading.tables import EMPTY, Column
from gan_lab.data.types import Int64Array

SUFFIX = ".parquet"
NUMBERED = re.compile(r"(.+?)[-_.]\d+(-of-\d+)?([-_.][0-9a-f]+)?")
"""Names of files that are parts of a split, such as ``train-00000-of-00004-0a1b2c``."""


def pyarrow_parquet() -> Any:
    """Imports pyarrow's reader of parquet files.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise UserError("Reading parquet files needs pyarrow: run pip install gan_lab[parquet].") from error
    return parquet


def has_parquet(root: Path) -> bool:
    """Tells whether a path is a parquet file, or a folder with one."""
    return root.suffix.lower() == SUFFIX or next(root.rglob(f"*{SUFFIX}"), None) is not None


def parquet_splits(root: Path) -> dict[str, list[Path]]:
    """Returns the parquet files of a folder, or one file, by the names of their splits, "all" if they have none.

    A split is a folder called train, test or validation, or the beginning of a file's name.

    Raises:
        UserError: if there are none.
    """
    place = without_user(f"data.root={root}")
    if not root.exists():
        raise UserError(f"{place} does not exist: give a parquet file, or a folder of them.")
    files = [root] if root.is_file() else sorted(root.rglob(f"*{SUFFIX}"))
    found: dict[str, list[Path]] = {}
    for file in files:
        parts = file.relative_to(root).parts if file != root else (file.name,)
        if file.suffix.lower() == SUFFIX and not any(part.startswith((".", "_")) for part in parts):
            found.setdefault(_split_of(parts), []).append(file)
    if not found:
        raise UserError(f"{place} has no parquet files: give a file that ends in {SUFFIX}, or a folder of them.")
    return found


def _split_of(parts: Sequence[str]) -> str:
    folder = next((part for part in parts[:-1] if role_of(part)), None)
    stem = parts[-1].removesuffix(SUFFIX)
    numbered = NUMBERED.fullmatch(stem)
    name = numbered[1] if numbered else stem
    return folder or (name if role_of(name) or (numbered and numbered[2]) else "all")


class ParquetTable:
    """Images in one column of parquet files with the same columns (satisfies ``Table``).

    Args:
        files: the files, one after another.
        place: of the data, for messages.

    Raises:
        UserError: if one cannot be read, or has other columns than the first.
    """

    def __init__(self, files: Sequence[Path], place: str) -> None:
        self.files, self.place, self.column = files, place, ""
        counts: list[int] = []
        self.parts: list[tuple[Path, int]] = []
        for file in files:
            metadata = self._opened(file).metadata
            counts += [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
            self.parts += [(file, number) for number in range(metadata.num_row_groups)]
        self.groups: Int64Array = np.cumsum([0, *counts])
        self.schema = self._opened(files[0]).schema_arrow
        for file in files[1:]:
            if self._opened(file).schema_arrow.names != self.schema.names:
                raise UserError(f"{file} has other columns than {files[0]}: give data.split= one split of {place}.")

    def __len__(self) -> int:
        return int(self.groups[-1])

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.schema.names)

    @property
    def image_columns(self) -> list[str]:
        """The names of columns that may hold images."""
        return [field.name for field in self.schema if _bytes_of(field.type)]

    def labels(self, column: str) -> Column:
        """Returns a column of labels, with the names of classes that ``datasets`` noted in the file."""
        kind = self.schema.field(column).type
        if kind.num_fields:
            return Column((), nested=str(kind))
        read = (self._opened(file).read(columns=[column])[column].to_pylist() for file in self.files)
        return Column([value for values in read for value in values], self._class_names(column))

    def _class_names(self, column: str) -> Sequence[str]:
        """Returns the names that the metadata state, none if they are not as ``datasets`` writes them."""
        try:
            noted = json.loads((self.schema.metadata or {}).get(b"huggingface", b"{}"))
        except (ValueError, RecursionError):
            return ()
        for key in ("info", "features", column, "names"):
            noted = noted.get(key) if isinstance(noted, dict) else None
        names = list(noted.values()) if isinstance(noted, dict) else noted
        return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()

    def names(self) -> Sequence[str | None]:
        """Returns the names of the image files, (N,), where the files state them."""
        return self._names

    @cached_property
    def _names(self) -> Sequence[str | None]:
        kind = self.schema.field(self.column).type
        if not _has_field(kind, "path"):
            return [None] * len(self)
        key = f"{self.column}.path"
        read = (self._opened(file).read(columns=[key])[self.column].to_pylist() for file in self.files)
        return [value and value["path"] for values in read for value in values]

    def contents(self, rows: Int64Array) -> Iterator[bytes]:
        """Yields the bytes of the image files in rows, empty where there are none; one group of rows is in memory."""
        known, values, starts = -1, cast(Any, None), self.groups.tolist()
        for row in rows.tolist():
            group = bisect_right(starts, row) - 1
            if group != known:
                known, values = group, self._read(group)
            value = values[row - starts[group]].as_py()
            yield value or b""

    def why_empty(self, row: int) -> str:
        """Says why a row has no bytes."""
        return EMPTY

    def _read(self, group: int) -> Any:
        """Returns the bytes of a group of rows, a chunked array of pyarrow."""
        file, number = self.parts[group]
        try:
            read = self._opened(file).read_row_group(number, columns=[self.column])[self.column]
        except (OSError, ValueError) as error:
            raise UserError(f"{file} is damaged ({error}): download or write it again.") from error
        if not _has_field(read.type, "bytes"):
            return read
        import pyarrow.compute

        return pyarrow.compute.struct_field(read, "bytes")

    def _opened(self, file: Path) -> Any:
        try:
            return pyarrow_parquet().ParquetFile(file)
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read ({error}): give parquet files.") from error


def _bytes_of(kind: Any) -> bool:
    """Tells whether a column's type is bytes, or pairs with ``bytes``."""
    return "binary" in str(kind) and (str(kind) in ("binary", "large_binary") or _has_field(kind, "bytes"))


def _has_field(kind: Any, name: str) -> bool:
    return str(kind).startswith("struct") and kind.get_field_index(name) >= 0
