"""Run folders: what is in one, which one to resume, and what became of it."""

import fcntl
import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from gan_lab.common import runs
from gan_lab.common.atomic import atomic_write, temporary_files
from gan_lab.common.errors import UserError
from gan_lab.common.upgrade import upgrade_config

LAST, BEST = "last.ckpt", "best.ckpt"
_STAMP = re.compile(r"\d{4}-\d\d-\d\d_")
IGNORED_KEYS = {"resume", "run_dir", "record", "logger", "trial"}
"""Keys that say nothing of what is trained: runs that differ in these alone are equal."""
TRAINED_KEYS = {"model", "data", "seed", "batch_size", "budget", "precision", "trainer"}
"""Keys that decide what is trained: in ``model`` and ``data`` every other choice is resolved."""
SEARCH = "callbacks.pruning."
DEVICES = "trainer.devices"


class Run:
    """One run's folder: ``config.json`` (resolved), ``run.json`` (its state), checkpoints, logs and pictures.

    Args:
        folder: made when the run begins, if it is not there.
        facts: of what does not change in it, such as the hardware; they stand in ``run.json``.
    """

    def __init__(self, folder: str | Path, **facts: Any) -> None:
        self.folder, self.facts = Path(folder), facts
        self.lock: IO[str] | None = None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Records the configuration and takes the folder for this process.

        Raises:
            UserError: if another process is training in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self.lock = (self.folder / ".lock").open("w")
        # A forked loader worker outlives a killed run by seconds, and would keep the folder taken.
        os.register_at_fork(after_in_child=lock.close)
        if not _taken(lock):
            raise UserError(f"Another process is training in {self.folder}: wait for it, or start a run of your own.")
        for name in (LAST, BEST):
            for left in temporary_files(self.folder / name):
                left.unlink()
        write_json(self.folder / "config.json", config)
        self.state("running")

    def state(self, state: str, **more: Any) -> None:
        """Records "running", "finished", "stopped" or "failed", and whatever else is worth knowing."""
        told = {"state": state, "time": datetime.now().isoformat(timespec="seconds"), **self.facts, **more}
        write_json(self.folder / "run.json", told)

    def end(self, state: str, **more: Any) -> None:
        """Records how the run ended and gives the folder free."""
        self.state(state, **more)
        if self.lock is not None:
            self.lock.close()
            self.lock = None


def _taken(lock: IO[str], seconds: float = 2.0) -> bool:
    """Others look for a moment whether the folder is free, by the same lock."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        else:
            return True


def create_run_dir(runs: str | Path, name: str) -> Path:
    """A folder of its own for a run: <runs>/<name>/<date>_<time>, numbered where two begin in one second."""
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    for number in range(1000):
        folder = Path(runs) / name / (stamp if number == 0 else f"{stamp}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise UserError(f"No new folder can be made in {runs}: give another with runs=….")


def run_title(folder: Path) -> str:
    """What a run's folder is called by people: method and data, as far as they are known, and its own name."""
    folder = folder.absolute()
    name = read_json(folder / "config.json").get("name") or (folder.parent.name if _STAMP.match(folder.name) else "")
    return folder.name if name in folder.name else f"{name} {folder.name}"


def unfinished_runs(runs: str | Path) -> Iterator[Path]:
    """Folders of runs that have a checkpoint, did not finish and are not running now, newest first."""
    found = sorted(Path(runs).rglob(LAST), key=lambda path: path.stat().st_mtime, reverse=True)
    for checkpoint in found:
        folder = checkpoint.parent
        if read_json(folder / "run.json").get("state") not in ("finished", "pruned") and not is_running(folder):
            yield folder


def find_resumable(runs: str | Path, config: Mapping[str, Any]) -> tuple[Path | None, Path | None, list[str]]:
    """The newest unfinished run of equal configuration; else None, the nearest one and the differing keys."""
    nearest: tuple[Path | None, list[str]] = (None, [])
    for folder in unfinished_runs(runs):
        keys = _differing_keys_of_run(config, folder)
        if not keys:
            return folder, folder, []
        if nearest[0] is None or len(keys) < len(nearest[1]):
            nearest = (folder, keys)
    return None, *nearest


def find_finished(runs: str | Path, config: Mapping[str, Any]) -> Path | None:
    """The newest finished run of equal configuration."""
    found = sorted(Path(runs).rglob("run.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    ended = (path.parent for path in found if read_json(path).get("state") == "finished")
    return next((folder for folder in ended if not _differing_keys_of_run(config, folder)), None)


def _differing_keys_of_run(config: Mapping[str, Any], folder: Path) -> list[str]:
    """The dotted keys in which a run's recorded configuration, under its present names, differs from ``config``.

    Of a run of an earlier version, which may lack keys or have others, those that decide what is trained count.
    """
    recorded = read_json(folder / "config.json")
    upgraded = upgrade_config(recorded)
    keys = differing_keys(config, upgraded)
    return keys if upgraded == recorded else [key for key in keys if key.split(".")[0] in TRAINED_KEYS]


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The dotted keys in which two resolved configurations differ, passing ones left out."""
    a, b = ({**dict(flatten(side)), DEVICES: _count(side)} for side in (one, other))
    folders = (str(one.get("run_dir")), str(other.get("run_dir")))
    missing = object()
    keys = {key for key in a.keys() | b.keys() if a.get(key, missing) != b.get(key, missing)}
    # A value that holds the run's own folder (a logger's) differs between any two runs.
    keys = {key for key in keys if not _same_but_folder(a.get(key), b.get(key), folders)}
    return sorted(key for key in keys if key.split(".")[0] not in IGNORED_KEYS and not key.startswith(SEARCH))


def _count(config: Mapping[str, Any]) -> Any:
    """How many devices, not which."""
    devices = (config.get("trainer") or {}).get("devices")
    return len(devices) if isinstance(devices, list) else devices


def _same_but_folder(a: Any, b: Any, folders: tuple[str, str]) -> bool:
    return isinstance(a, str) and isinstance(b, str) and a.replace(folders[0], "") == b.replace(folders[1], "")


def flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by dotted keys."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, replace_non_finite(node)  # as it would be read again


def is_running(folder: Path) -> bool:
    """Whether a process of this machine is training in a folder."""
    try:
        with (folder / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON whole or not at all, with null for numbers that are not finite: JSON has no word for them."""
    text = json.dumps(replace_non_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def replace_non_finite(node: Any) -> Any:
    """Nested plain containers with None in place of numbers that are not finite."""
    if isinstance(node, Mapping):
        return {key: replace_non_finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [replace_non_finite(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file's mapping; empty where it is not there or not whole."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def checkpoint_path(path: str | Path) -> Path:
    """A checkpoint's path, a run folder standing for its last one.

    Raises:
        UserError: if there is none.
    """
    path = Path(path).expanduser()
    path = path / runs.LAST if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give the path of a file such as runs/…/last.ckpt.")
    return path
