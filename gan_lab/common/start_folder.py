"""The folder where a run was started: its relative paths are meant there, wherever it is continued or evaluated."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from gan_lab.common.runs import read_json

STARTED_IN = "started_in"
"""The key of ``run.json`` that has the folder."""
DATA_PATHS = (
    *("root", "a", "b", "test_a", "test_b", "test_file", "data_dir"),
    *("damaged", "clean", "test_damaged", "test_clean"),
    *(f"{test}{kind}_folder" for test in ("", "test_") for kind in ("images", "labels", "instances")),
)
"""Arguments of data modules that say where the data are."""
PATHS = (
    *("init_from", "generator_from", "runs", "record", "data_dir"),
    *(f"data.{name}" for name in (*DATA_PATHS, "cache_dir")),
    *("callbacks.fidelity.weights.*", "callbacks.fidelity.extractors.*.weights", "extractor.*.weights"),
    *("encoder.weights", "model.features.weights", "model.trained.weights"),
)
"""Patterns of dotted keys of a run's configuration that hold paths."""


def start_folder(checkpoint: Path) -> Path | None:
    """Returns the folder where the run of a checkpoint was started; None if it is this one, or is not known."""
    given = read_json(checkpoint.parent / "run.json").get(STARTED_IN)
    return Path(given) if isinstance(given, str) and Path(given) != Path.cwd() else None


def from_start(value: str, start: Path) -> str:
    """Returns a path as it was meant in the folder where a run was started.

    One that is here and not there stays as it is: everything was moved here.
    """
    path = Path(value).expanduser()
    if path.is_absolute():
        return value
    return value if path.exists() and not (start / path).exists() else str(start / path)


def with_paths_from(start: Path | None, node: Any, key: str = "", paths: Sequence[str] = PATHS) -> Any:
    """Returns a configuration whose relative paths are meant in the folder where its run was started.

    Args:
        start: the folder; None leaves the configuration as it is.
        node: nested mappings.
        key: the dotted key of the node.
        paths: patterns of keys that hold paths.
    """
    if start is None:
        return node
    if isinstance(node, Mapping):
        return {
            name: with_paths_from(start, value, f"{key}.{name}" if key else str(name), paths)
            for name, value in node.items()
        }
    is_path = isinstance(node, str) and node and any(fnmatchcase(key, pattern) for pattern in paths)
    return from_start(node, start) if is_path else node
