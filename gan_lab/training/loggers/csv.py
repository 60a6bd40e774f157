"""A CSV table of metrics on disk.

A resumed run continues the table in its folder. The first step that it logs tells where it continues; rows that an
earlier part of the run logged after that step (it was killed after its last checkpoint) are dropped.
"""

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gan_lab.common.atomic import atomic_write

FLUSH_SECONDS = 5.0
Cells = dict[str, str | int]


class CSV(Logger):
    """Writes the wide table ``<folder>/metrics.csv``: a row for each step, ``images`` first, a column for each name.

    Rows reach the disk every few seconds. A row that was cut off by a crash is dropped when the run is resumed.
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
            self._open(step)
        if not self.rows or self.rows[-1]["images"] != step:
            self.rows.append({"images": step})
        self.rows[-1].update({name: _number(value) for name, value in metrics.items()})
        if time.monotonic() - self.written > FLUSH_SECONDS:
            self.save()

    def _open(self, step: int) -> None:
        """Continues the table of an earlier part of the run, up to the step where this part begins."""
        self.columns = ["images"]
        if self.path.exists():
            whole, _, _ = self.path.read_text().rpartition("\n")
            reader = csv.DictReader(io.StringIO(whole))
            self.columns = list(reader.fieldnames or self.columns)
            self.rows = [{**row, "images": int(row["images"])} for row in reader if int(row["images"]) <= step]
            self._rewrite()

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
        with self.path.open("r+", newline="") as file:
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


def _number(value: float | Tensor) -> str | int:
    value = value.item() if isinstance(value, Tensor) else value
    return value if isinstance(value, int) else f"{value:.8g}"
