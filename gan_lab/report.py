"""Writes runs as pages: ``python -m gan_lab.report runs/dcgan-digits/…``, or ``… report runs`` for all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gan_lab.cli.command import command
from gan_lab.cli.requests import Request, Words
from gan_lab.common.atomic import check_place


@dataclass(frozen=True, kw_only=True)
class ReportRequest(Request):
    runs: Annotated[tuple[Path, ...], Words("runs, folders of runs, or a sweep")]
    output: Path | None = None
    against: Path | None = None

    def check_places(self) -> None:
        if self.output is not None:
            check_place(self.output, "output")


@command(ReportRequest)
def report(request: ReportRequest) -> None:
    """Writes a page of each run, report.html in its folder, and an index over several runs.

    output=    one folder for all pages
    against=   a run whose settings are shown beside those of the others
    """
    from gan_lab.evaluation.reports.collection import report

    output, against = (None if path is None else str(path) for path in (request.output, request.against))
    report([str(path) for path in request.runs], output, against)


if __name__ == "__main__":
    report()
