"""Images of a folder split over jobs that know nothing of each other, such as those of a SLURM array or of Ray.

Each job takes its share and, when it is done, leaves its outcome in the output folder. The job that ends last finds
the outcomes of all, and has the table.
"""

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from gan_lab.common.atomic import make_folder
from gan_lab.common.found_files import files_below
from gan_lab.common.runs import write_json

T = TypeVar("T")
FOLDER = ".jobs"
"""Subfolder of the results with the outcome of each job."""


@dataclass(frozen=True)
class JobShare:
    """One of several jobs over the same images.

    Args:
        number: of this job, from 1 on.
        count: of all jobs.
    """

    number: int = 1
    count: int = 1

    def of(self, items: Sequence[T], rank: int = 0, world: int = 1) -> list[tuple[int, T]]:
        """The items of one of this job's processes, with their numbers among all; any numbers of jobs and processes
        take each item once.
        """
        own = islice(enumerate(items), self.number - 1, None, self.count)
        return list(own)[rank::world]


@dataclass(frozen=True)
class Outcomes:
    """The outcomes that jobs leave in an output folder.

    Args:
        folder: of the results.
        count: of all jobs.
        key: says what the jobs do; the outcomes of others are passed over.
    """

    folder: Path
    count: int
    key: str = ""

    @classmethod
    def of(cls, folder: Path, count: int, *work: object) -> "Outcomes":
        """Outcomes of jobs whose plain values, such as names of images, say what they do."""
        return cls(folder, count, sha256(repr(work).encode()).hexdigest())

    def _path(self, number: int) -> Path:
        return self.folder / FOLDER / f"{number}-of-{self.count}.json"

    def begin(self, number: int) -> float:
        """Takes away what an earlier run of a job has left; returns the time."""
        self._path(number).unlink(missing_ok=True)
        return time.time()

    def end(self, number: int, began: float, values: Mapping[str, Any]) -> None:
        """Leaves a job's outcome."""
        make_folder(self.folder / FOLDER)
        found = {"job": number, "key": self.key, "machine": socket.gethostname(), "seconds": time.time() - began}
        write_json(self._path(number), {**found, **values})

    def read(self) -> dict[int, dict[str, Any]]:
        """The outcomes of the jobs that are done, by number."""
        return {number: found for number in range(1, self.count + 1) for found in self._found(number)}

    def _found(self, number: int) -> Iterator[dict[str, Any]]:
        """Yields a job's outcome; nothing if there is none, or another job's."""
        try:
            found = json.loads(self._path(number).read_text())
        except (OSError, ValueError):
            return
        if found.get("key") == self.key:
            yield found


def jobs_done(output: Path, count: int) -> dict[Path, int]:
    """The number of jobs that have left an outcome, by folder of results: one, or one for each of several styles."""
    found = Counter(path.parent.parent for path in _outcomes(output, f"*-of-{count}.json"))
    return dict(sorted(found.items()))


def forget_jobs(output: Path) -> None:
    """Removes the outcomes of all jobs below a folder."""
    for path in _outcomes(output, "*-of-*.json"):
        path.unlink(missing_ok=True)


def _outcomes(output: Path, pattern: str) -> Iterator[Path]:
    """Yields the files of outcomes with names of a pattern."""
    yield from (path for path in files_below(output) if path.parent.name == FOLDER and path.match(pattern))
