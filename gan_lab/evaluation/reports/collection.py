"""Pages of runs, and an index over several: the work behind ``gan_lab.report``."""

import itertools
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gan_lab.common.errors import UserError, WriteError
from gan_lab.common.found_files import files_below
from gan_lab.evaluation.reports.history import History, is_run, read_run
from gan_lab.evaluation.reports.index_page import REPORT, write_index_page
from gan_lab.evaluation.reports.index_table import informative_keys, setting_differences
from gan_lab.evaluation.reports.jobs import JOBS, Job, job_from_run, read_jobs
from gan_lab.evaluation.reports.run_page import write_run_page

INDEX = "index.html"

COLUMNS = 6
"""Differing settings in the index's table; the others are shown on demand."""


def report(paths: Sequence[str], output: str | None = None, against: str | None = None) -> list[Path]:
    """Writes a page for each run, and over several runs an index; returns the paths of the pages.

    A run's page is ``report.html`` in its folder. The index is ``index.html`` in the given folder; of several folders,
    in the one that contains all of them. Files of a run that are damaged are named, and the others shown.

    Example: ``report(["runs/dcgan-digits"])``

    Args:
        paths: folders of runs, folders that contain runs, or the folder of a sweep.
        output: a folder for all pages instead.
        against: a run whose configuration is compared with that of the others.

    Raises:
        UserError: for a path without a run, and if a page cannot be written.
    """
    folders = [Path(path).expanduser() for path in paths]
    other = _single_run(Path(against).expanduser()) if against else None
    out = Path(output).expanduser() if output else None
    if len(folders) == 1 and is_run(_folder(folders[0])):
        jobs, title, index = [job_from_run(0, read_run(_folder(folders[0])), [])], "", None
    else:
        common = Path(os.path.commonpath([path.absolute() for path in folders]))
        jobs, title = _jobs(folders, common.name)
        index = (out or common) / INDEX
    try:
        written = _write(jobs, title, index, out, other)
    except WriteError:
        raise
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written ({error.strerror}): give another output=….") from error
    pages = {2: " and 1 page of a run"}.get(len(written), f" and {len(written) - 1} pages of runs")
    print(f"Wrote {written[-1]}{pages if index else ''}")
    return written


def _folder(path: Path) -> Path:
    """Returns the run's folder for any of its files, such as a checkpoint."""
    return path.parent if path.is_file() else path


def _single_run(path: Path) -> History:
    if not is_run(_folder(path)):
        raise UserError(f"{path} contains no run: give against=… the folder of one, such as runs/dcgan-digits/….")
    return read_run(_folder(path))


def _jobs(paths: Sequence[Path], common: str) -> tuple[list[Job], str]:
    """Returns the jobs or runs below the paths, and a title with the name of the folder that contains all of them."""
    if len(paths) == 1 and (jobs := read_jobs(paths[0] / JOBS)):
        return jobs, f"Sweep {common}"
    folders = dict.fromkeys(folder for path in paths for folder in _runs(path))
    histories = [read_run(folder) for folder in folders]
    keys = informative_keys(setting_differences(histories), COLUMNS)
    return [job_from_run(number, history, keys) for number, history in enumerate(histories)], f"Runs in {common}"


def _runs(path: Path) -> list[Path]:
    """Returns the folders of runs at or below a path, by name."""
    if is_run(_folder(path)):
        return [_folder(path)]
    found = sorted({each.parent for each in files_below(path, "config.json", "run.json")})
    if not found:
        raise UserError(
            f"{path} contains no run: give the folder of a run or a sweep, or one that contains runs, such as runs."
        )
    return found


def _write(
    jobs: Sequence[Job], title: str, index: Path | None, output: Path | None, other: History | None
) -> list[Path]:
    runs = list({job.history.folder: job.history for job in jobs if job.history}.values())
    pages = _page_paths(runs, output)
    keys = [] if other else [key for key, _ in setting_differences(runs)]
    written = {}
    for run in runs:
        distinguishing = [key for key, _ in setting_differences([run, other])] if other else keys
        if page := _write_run(pages[run.folder], run, index, distinguishing, other):
            written[run.folder] = page
    if index is None:
        return [*written.values()]
    kind = "job" if title.startswith("Sweep") else "run"
    return [*written.values(), write_index_page(index, title, jobs, written, kind)]


def _write_run(
    path: Path, run: History, index: Path | None, distinguishing: Sequence[str], other: History | None
) -> Path | None:
    """Writes a run's page; says what is damaged, and returns None for a run that cannot be shown beside others."""
    if run.damaged:
        print(f"gan_lab: {run.folder} is damaged ({', '.join(run.damaged)}).", file=sys.stderr)
    try:
        return write_run_page(path, run, index, distinguishing, other)
    except OSError:
        raise
    except Exception as error:  # whatever a damaged file leads to must not stop the other pages
        problem = f"{run.folder} cannot be shown ({type(error).__name__}: {error})"
        if index is None:
            raise UserError(f"{problem}: look for a damaged file in it, or report another run.") from error
        print(f"gan_lab: {problem}, and is left out.", file=sys.stderr)
        return None


def _page_paths(runs: Iterable[History], output: Path | None) -> Mapping[Path, Path]:
    """Returns the path of each run's page by the run's folder.

    In one folder for all pages the names are made of method, data and run; no two differ in case only.
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
