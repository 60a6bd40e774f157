"""The end of a multirun over one folder of images; Hydra imports this module, so it imports little."""

import csv
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Runs jobs in this process, whose table is on the terminal already."""


class Ended(Callback):
    """Prints the table of jobs that ran elsewhere, or how many of them are done."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Takes away what the jobs of an earlier run have left; their images stay."""
        from gan_lab.inference.job_shares import forget_jobs

        forget_jobs(Path(str(config.output)))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Exits with status 1 if jobs are not done."""
        from gan_lab.inference.job_shares import jobs_done

        if OmegaConf.select(config, "hydra.launcher._target_") == BASIC:
            return
        folders = jobs_done(Path(str(config.output)), int(config.jobs))
        for folder, done in folders.items():
            self._tell(folder, done, int(config.jobs))
        if not folders or min(folders.values()) < config.jobs:
            print("gan_lab: not all jobs are done: start the same command again.", file=sys.stderr)
            sys.exit(1)

    def _tell(self, folder: Path, done: int, count: int) -> None:
        from rich.console import Console

        from gan_lab.evaluation.reports.plain_tables import printed

        print(f"{done} of {count} jobs are done: {folder}")
        if done == count and (folder / "jobs.csv").is_file():
            with (folder / "jobs.csv").open(encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            Console().print(printed(list(rows[0]), [list(row.values()) for row in rows]))
