"""What is no figure: pictures, animations, tables, checkpoints. Each goes to the loggers that have a place for it."""

from collections.abc import Iterable, Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

Row = Sequence[Any]


@rank_zero_only
def log_image(loggers: Iterable[Logger], name: str, image: Tensor, step: int) -> None:
    """Shows a picture, uint8 (1 or 3, H, W), in every logger that can show one."""
    for logger in loggers:
        show_image(logger, name, image, step)


@rank_zero_only
def log_animation(loggers: Iterable[Logger], name: str, path: str | Path, step: int) -> None:
    """Shows an animation, a GIF file, in every logger that can show one."""
    for logger in loggers:
        show_animation(logger, name, Path(path), step)


@rank_zero_only
def log_table(loggers: Iterable[Logger], name: str, columns: Sequence[str], rows: Sequence[Row], step: int) -> None:
    """Shows a table of numbers and words, None where a cell is empty; a later one of the name stands in for it."""
    for logger in loggers:
        show_table(logger, name, columns, rows, step)


@rank_zero_only
def log_checkpoint(loggers: Iterable[Logger], path: str | Path, alias: str) -> None:
    """Hands a finished checkpoint to every logger that was asked to keep it (W&B with ``log_model``)."""
    for logger in loggers:
        keep(logger, Path(path), alias)


@singledispatch
def show_image(logger: Logger, name: str, image: Tensor, step: int) -> None:
    """Other loggers show no pictures."""


@singledispatch
def show_animation(logger: Logger, name: str, path: Path, step: int) -> None:
    """Other loggers show no animations."""


@singledispatch
def show_table(logger: Logger, name: str, columns: Sequence[str], rows: Sequence[Row], step: int) -> None:
    """Other loggers show no tables."""


@singledispatch
def keep(logger: Logger, path: Path, alias: str) -> None:
    """Other loggers keep no checkpoints."""
