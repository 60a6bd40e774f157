"""Several evaluations in one table and on one page: the work behind ``gan_lab.compare``."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from gan_lab.imaging import from_pil
from gan_lab.reports.compare import Run, differences, order, read_run, shared, ties
from gan_lab.reports.pages import embedded, write_page
from gan_lab.types import UserError


def compare(paths: Sequence[str], by: str | None, output: str) -> list[Run]:
    """Prints and writes the figures of several evaluations, the best first; returns them in that order.

    Args:
        paths: JSON files that gan_lab.evaluate wrote, or run folders that hold one.
        by: the figure; None takes the first that all have.
        output: the page.

    Raises:
        UserError: for fewer than two, for files that hold none, and where they share no figure.
    """
    runs = [read_run(_file(Path(path).expanduser())) for path in paths]
    if len(runs) < 2:
        raise UserError("There is nothing to compare: give two evaluations or more, files or run folders.")
    names = shared(runs)
    if not names:
        raise UserError("These evaluations share no figure: measure them with the same extractors and metrics.")
    by = by or names[0]
    runs = order(runs, by)
    best = {name: ties(runs, name) for name in names}
    warnings = differences(runs)
    shown = Table("", *(run.name for run in runs), caption=f"sorted by {by}")
    for name in names:
        cells = [(_text(run, name), run.name in best[name]) for run in runs]
        shown.add_row(name, *(f"[bold]{text}[/]" if is_best else text for text, is_best in cells))
    Console().print(shown, *warnings, sep="\n")
    rows = [
        {
            "name": run.name,
            "cells": [{"text": _text(run, name), "best": run.name in best[name]} for name in names],
            "counts": f"{run.protocol.get('samples', 0):,} / {run.protocol.get('real', 0):,}",
            "source": _samples(run),
        }
        for run in runs
    ]
    path = Path(output)
    write_page(path, "compare.html.j2", title="Runs compared", by=by, names=names, runs=rows, warnings=warnings)
    print(f"Wrote {path}")
    return runs


def _file(path: Path) -> Path:
    """A run's folder stands for its newest evaluation."""
    if not path.is_dir():
        return path
    found = sorted(path.glob("*evaluation.json"), key=lambda each: each.stat().st_mtime)
    if not found:
        raise UserError(f"{path} holds no evaluation: run python -m gan_lab.evaluate checkpoint={path}.")
    return found[-1]


def _text(run: Run, name: str) -> str:
    row = run.figures[name]
    return f"{row.value:.4g}" + (f" ± {row.spread:.2g}" if row.spread is not None else "")


def _samples(run: Run) -> str | None:
    """The run's own sheet of samples."""
    path = run.folder / "samples.png"
    if not path.is_file():
        return None
    with Image.open(path) as image:
        return embedded(from_pil(image.convert("RGB")), least=1)
