"""Marks of how far the logs reach at a checkpoint, so that a resumed run repeats nothing and loses nothing."""

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

LOGS = "logs"
"""The key of the marks in a checkpoint."""

Marks = Mapping[str, int]
"""Bytes of files that only grow, by their paths within the run's folder."""


@runtime_checkable
class Continues(Protocol):
    """A logger whose files a resumed run continues."""

    def begin(self, images: int, marks: Marks | None) -> None:
        """Drops what was logged after a checkpoint.

        Args:
            images: images seen at the checkpoint.
            marks: the checkpoint's; None of an earlier version, or for a new run.
        """

    def marks(self) -> dict[str, int]:
        """Returns the sizes of the files that only grow, once all is written."""


def log_marks(loggers: Iterable[Logger]) -> dict[str, int]:
    """Writes to disk what loggers hold back, and returns where their files stand."""
    marks: dict[str, int] = {}
    for logger in loggers:
        logger.save()
        if isinstance(logger, Continues):
            marks |= logger.marks()
    return marks


@rank_zero_only
def begin_logs(loggers: Iterable[Logger], images: int, marks: Marks | None) -> None:
    """Makes loggers continue where a checkpoint stands; see ``Continues.begin``."""
    for logger in loggers:
        if isinstance(logger, Continues):
            logger.begin(images, marks)
