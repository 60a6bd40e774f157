"""Storage of a search's Optuna study, for the sweep that proposes jobs and for the jobs that report metrics."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

JOURNAL_FILE, STUDY_NAME = "study.journal", "gan_lab"


def open_storage(folder: str | Path) -> "JournalStorage":
    """Opens Optuna's storage in a file of the sweep's folder; several processes may write to it."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(Path(folder) / JOURNAL_FILE)))
