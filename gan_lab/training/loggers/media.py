"""Logging of images, animations, tables and checkpoints to the loggers that support them."""

from collections.abc import Iterable, Sequence
from functools import singledispatch
from pathlib import Path

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

Row = Sequence[str | float | None]
"""Cells of a table; None is an empty cell."""


@rank_zero_only
def log_image(loggers: Iterable[Logger], name: str, image: Tensor, step: int) -> None:
    """Shows an image, uint8 (1 or 3, H, W), in every logger that can show one.

    Example: ``log_image(trainer.loggers, "samples", sheet, module.images_seen)``
    """
    for logger in loggers:
        show_image(logger, name, image, step)


@rank_zero_only
def log_animation(loggers: Iterable[Logger], name: str, path: str | Path, step: int) -> None:
    """Shows an animation, a GIF file, in every logger that can show one."""
    for logger in loggers:
        show_animation(logger, name, Path(path), step)


@rank_zero_only
def log_table(loggers: Iterable[Logger], name: str, columns: Sequence[str], rows: Sequence[Row], step: int) -> None:
    """Shows a table in every logger that can show one; a later table of the same name replaces it."""
    for logger in loggers:
        show_table(logger, name, columns, rows, step)


@rank_zero_only
def log_checkpoint(loggers: Iterable[Logger], path: str | Path, alias: str) -> None:
    """Passes a finished checkpoint to every logger that was asked to store it (W&B with ``log_model``)."""
    for logger in loggers:
        store_checkpoint(logger, Path(path), alias)


@singledispatch
def show_image(logger: Logger, name: str, image: Tensor, step: int) -> None:
    """Shows an image, uint8 (1 or 3, H, W); does nothing for loggers without an implementation."""


@singledispatch
def show_animation(logger: Logger, name: str, path: Path, step: int) -> None:
    """Shows an animation; does nothing for loggers without an implementation."""


@singledispatch
def show_table(logger: Logger, name: str, columns: Sequence[str], rows: Sequence[Row], step: int) -> None:
    """Shows a table; does nothing for loggers without an implementation."""


@singledispatch
def store_checkpoint(logger: Logger, path: Path, alias: str) -> None:
    """Stores a checkpoint; does nothing for loggers without an implementation."""
