"""Where a search keeps its study, for the sweep that asks and for the jobs that report."""

from pathlib import Path
from typing import Any

JOURNAL, STUDY = "study.journal", "gan_lab"


def journal(folder: str | Path) -> Any:
    """Optuna's storage in a file of a sweep's folder, which several processes may write to."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(Path(folder) / JOURNAL)))
