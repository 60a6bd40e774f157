"""A CSV table of metrics on disk.

A resumed run continues the table in its folder. Rows that an earlier part of the run logged after the checkpoint (it
was killed later) are dropped.
"""

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from torch import Tensor

from gan_lab.common.atomic import atomic_write, writing
from gan_lab.training.loggers.marks import Marks

FLUSH_SECONDS = 5.0
Cells = dict[str, str | int]


class CSV(Logger):
    """Writes the wide table ``<folder>/metrics.csv``: a row for each step, ``images`` first, a column for each name.

    Rows reach the disk every few seconds, and before each checkpoint. A row that is damaged, such as one that was cut
    off by a crash, is dropped when the run is resumed.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.path = self.folder / "metrics.csv"
        self.columns: list[str] = []
        self.rows: list[Cells] = []
        self.end = 0
        self.written = time.monotonic()

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.folder)

    @rank_zero_only
    def log_hyperparams(self, params: object, *args: object, **kwargs: object) -> None:
        """Does nothing: the table holds metrics only."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | Tensor], step: int | None = None) -> None:
        step = int(step or 0)
        if not self.columns:
            self.begin(step)
        if not self.rows or self.rows[-1]["images"] != step:
            self.rows.append({"images": step})
        self.rows[-1].update({name: _number(value) for name, value in metrics.items()})
        if time.monotonic() - self.written > FLUSH_SECONDS:
            self.save()

    @rank_zero_only
    def begin(self, images: int, marks: Marks | None = None) -> None:
        """Continues the table of an earlier part of the run, up to the row of ``images``."""
        self.columns = ["images"]
        if self.path.exists():
            self.columns, rows = _read(self.path)
            self.rows = [row for row in rows if int(row["images"]) <= images]
            self._rewrite()

    def marks(self) -> dict[str, int]:
        """Returns nothing: rows are dropped by their first column."""
        return {}

    @rank_zero_only
    def save(self) -> None:
        """Brings the file up to date; the newest row may still grow, so the next save writes it again."""
        self.written = time.monotonic()
        if not self.rows:
            return
        names = sorted({name for row in self.rows for name in row} - set(self.columns))
        if names or not self.end:
            self._add_columns(names)
            return
        with writing(self.path), self.path.open("r+", newline="") as file:
            file.seek(self.end)
            file.truncate()
            self._write(file)

    def _add_columns(self, names: list[str]) -> None:
        kept: list[Cells] = []
        if self.end:
            with self.path.open("rb") as file:
                kept = list(csv.DictReader(io.StringIO(file.read(self.end).decode())))
        self.columns += names
        self.rows = [*kept, *self.rows]
        self._rewrite()

    def _rewrite(self) -> None:
        with atomic_write(self.path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(self.columns)
            self._write(file)

    def _write(self, file: io.TextIOWrapper) -> None:
        """Writes the pending rows and records where the newest one begins."""
        table = csv.DictWriter(file, self.columns, lineterminator="\n")
        table.writerows(self.rows[:-1])
        file.flush()
        self.end = file.tell()
        table.writerows(self.rows[-1:])
        self.rows = self.rows[-1:]

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()


def _read(path: Path) -> tuple[list[str], list[Cells]]:
    """Returns the columns and the rows of a table; damaged rows are left out, as is the last one if it was cut off."""
    whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
    table = list(csv.reader(whole.replace("\0", "").splitlines()))
    columns = table[0] if table else ["images"]
    if columns[0] != "images":
        rank_zero_info(f"The header of {path} is damaged: a new table begins, and the old one is kept as {path}.bak.")
        path.replace(f"{path}.bak")
        return ["images"], []
    rows: list[Cells] = [
        {**dict(zip(columns, row, strict=True)), "images": int(row[0])}
        for row in table[1:]
        if len(row) == len(columns) and row[0].isdecimal()
    ]
    if len(rows) < len(table) - 1:
        rank_zero_info(f"Damaged rows of {path} are left out: {len(table) - 1 - len(rows)}.")
    return columns, rows


def _number(value: float | Tensor) -> str | int:
    value = value.item() if isinstance(value, Tensor) else value
    return value if isinstance(value, int) else f"{value:.8g}"
