"""Compares evaluations side by side: ``python -m gan_lab.compare runs/a runs/b by=fid output=compare.html``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from gan_lab.cli.command import command
from gan_lab.cli.requests import Request, Words
from gan_lab.common.atomic import check_place


@dataclass(frozen=True, kw_only=True)
class CompareRequest(Request):
    runs: Annotated[tuple[Path, ...], Words("runs or evaluation files")]
    by: str | None = None
    output: Path = Path("compare.html")

    def check_places(self) -> None:
        check_place(self.output.parent, "output")


@command(CompareRequest)
def compare(request: CompareRequest) -> None:
    """Compares evaluations: prints a table and writes a page, sorted by a metric, ties in bold.

    by=       the metric to sort by; by default the first that all evaluations have
    output=   the page
    """
    from gan_lab.evaluation.reports.comparison import compare

    compare([str(path) for path in request.runs], request.by, str(request.output))


if __name__ == "__main__":
    compare()
