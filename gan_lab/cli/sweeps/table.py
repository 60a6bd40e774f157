"""The table of a sweep's jobs. Hydra imports this module for every run, so it imports torch only when it is used."""

import atexit
import functools
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from gan_lab.training.study import JOURNAL_FILE


class Table(Callback):
    """Prints and writes a table of all jobs at the sweep's end, however it ends.

    Args:
        record: the path of a JSON file that keeps the table, with what it was made by.
    """

    def __init__(self, record: str | None = None) -> None:
        self.record = record

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Removes the records of an earlier sweep in the same folder, unless a search goes on; its runs stay."""
        from gan_lab.common.distributed import is_rank_zero
        from gan_lab.evaluation.reports.jobs import JOBS

        folder = Path(str(config.hydra.sweep.dir))
        if is_rank_zero() and not (folder / JOURNAL_FILE).exists():
            for path in (folder / JOBS).glob("*.json"):
                if path.stem.isdecimal():  # a user's own file stays
                    path.unlink()
        self.last = functools.partial(self._tell, folder, list(config.hydra.overrides.task))
        atexit.register(self.last)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Exits with status 1 if jobs failed, unless the sweep is cut short, which Hydra 1.4 calls this for too."""
        atexit.unregister(self.last)
        cut_short = sys.exc_info()[0] is not None
        if (failed := self.last()) and not cut_short:
            sys.exit(failed)

    def _tell(self, folder: Path, overrides: list[str]) -> int:
        """Returns an exit status."""
        from rich.console import Console

        from gan_lab.cli.records import sweep_record
        from gan_lab.common.distributed import is_rank_zero
        from gan_lab.common.runs import write_json
        from gan_lab.evaluation.reports.jobs import JOBS, read_jobs
        from gan_lab.evaluation.reports.sweep import write_sweep

        jobs = read_jobs(folder / JOBS)
        if not jobs or not is_rank_zero():  # of another command than train
            return 0
        tables, written = write_sweep(folder, jobs)
        Console().print(*tables, sep="\n")
        if self.record:
            written.append(Path(self.record))
            write_json(written[-1], sweep_record(jobs, overrides))
        print(f"Wrote {', '.join(map(str, written))}")
        if failed := [job for job in jobs if job.state == "failed"]:
            print(f"gan_lab: {len(failed)} of {len(jobs)} jobs failed:", file=sys.stderr)
            print(*(f"  {job.number}: {job.error}" for job in failed), sep="\n", file=sys.stderr)
        return int(bool(failed))
