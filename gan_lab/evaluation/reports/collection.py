"""Runs as pages of one file each, and a page over several: the work behind ``gan_lab.report``."""

import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gan_lab.common.errors import UserError
from gan_lab.evaluation.reports.history import History, is_run, read_run
from gan_lab.evaluation.reports.index import REPORT, differences, telling, write_index
from gan_lab.evaluation.reports.jobs import JOBS, Job, job_of, read_jobs
from gan_lab.evaluation.reports.run import write_run

INDEX = "index.html"

COLUMNS = 5
"""Settings in which runs differ that stand in the index's table; all of them stand below it."""


def report(paths: Sequence[str], output: str | None = None, against: str | None = None) -> list[Path]:
    """Writes a page of each run, ``report.html`` in its folder, and over several ``index.html`` in the folder that was
    given (of several the one that they share); returns what it wrote.

    Args:
        paths: of runs, of folders with runs below them, or of a sweep's folder.
        output: a folder for all pages instead.
        against: a run whose configuration that of the others is set beside.

    Raises:
        UserError: for a path that holds no run, and if nothing can be written there.
    """
    given = [Path(path).expanduser() for path in paths]
    other = _single(Path(against).expanduser()) if against else None
    beside = Path(output).expanduser() if output else None
    if len(given) == 1 and is_run(_folder(given[0])):
        jobs, title, index = [job_of(0, read_run(_folder(given[0])), [])], "", None
    else:
        shared = Path(os.path.commonpath([path.absolute() for path in given]))
        jobs, title = _jobs(given, shared.name)
        index = (beside or shared) / INDEX
    try:
        written = _write(jobs, title, index, beside, other)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written ({error.strerror}): give another output=….") from error
    pages = {2: " and 1 page of a run"}.get(len(written), f" and {len(written) - 1} pages of runs")
    print(f"Wrote {written[-1]}{pages if index else ''}")
    return written


def _folder(path: Path) -> Path:
    """A file of a run, such as its checkpoint, stands for its folder."""
    return path.parent if path.is_file() else path


def _single(path: Path) -> History:
    if not is_run(_folder(path)):
        raise UserError(f"{path} holds no run: give against=… the folder of one, such as runs/dcgan-digits/….")
    return read_run(_folder(path))


def _jobs(paths: Sequence[Path], shared: str) -> tuple[list[Job], str]:
    """What is below these paths, and what to call it: by the name of the folder that they share."""
    if len(paths) == 1 and (jobs := read_jobs(paths[0] / JOBS)):
        return jobs, f"Sweep {shared}"
    folders = dict.fromkeys(folder for path in paths for folder in _runs(path))
    histories = [read_run(folder) for folder in folders]
    keys = telling(differences(histories), COLUMNS)
    return [job_of(number, history, keys) for number, history in enumerate(histories)], f"Runs in {shared}"


def _runs(path: Path) -> list[Path]:
    """The folders of runs at or below a path, by name.

    Raises:
        UserError: if there are none.
    """
    if is_run(_folder(path)):
        return [_folder(path)]
    found = sorted({each.parent for name in ("config.json", "run.json") for each in path.rglob(name)})
    if not found:
        raise UserError(
            f"{path} holds no run: give a run's folder, a sweep's, or one with runs below it, such as runs."
        )
    return found


def _write(
    jobs: Sequence[Job], title: str, index: Path | None, output: Path | None, other: History | None
) -> list[Path]:
    runs = list({job.history.folder: job.history for job in jobs if job.history}.values())
    pages = _pages(runs, output)
    keys = [] if other else [key for key, _ in differences(runs)]
    written = []
    for run in runs:
        apart = [key for key, _ in differences([run, other])] if other else keys
        written.append(write_run(pages[run.folder], run, index, apart, other))
    if index:
        kind = "job" if title.startswith("Sweep") else "run"
        written.append(write_index(index, title, jobs, pages, kind))
    return written


def _pages(runs: Iterable[History], output: Path | None) -> Mapping[Path, Path]:
    """Where each run's page goes; in one folder, by the names of method, data and run, of which no two differ
    in case alone.
    """
    if output is None:
        return {run.folder: run.folder / REPORT for run in runs}
    pages: dict[Path, Path] = {}
    taken = {Path(INDEX).stem}
    for run in runs:
        own = re.sub(r"[^\w.+=-]+", "_", run.title).lstrip(".")[:120]
        numbered = (own if number == 1 else f"{own}-{number}" for number in itertools.count(1))
        name = next(name for name in numbered if name.lower() not in taken)
        taken.add(name.lower())
        pages[run.folder] = output / f"{name}.html"
    return pages
