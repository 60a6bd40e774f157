"""Run folders: their contents and state, and the search for a run to resume."""

import itertools
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from filelock import lock_descriptor

from gan_lab.common.atomic import atomic_write, make_folder, temporary_files, writing
from gan_lab.common.errors import UserError, WriteError
from gan_lab.common.found_files import newest_first
from gan_lab.common.hub import HubModel, is_on_hub
from gan_lab.common.upgrade import upgrade_config

LAST, BEST = "last.ckpt", "best.ckpt"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
"""Files of an exported model; ``gan_lab.training.model_folder`` states their contents."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\d_")
ENDED = ("finished", "pruned")
"""States of runs that do not go on by themselves."""
IGNORED_KEYS = {
    *("resume", "run_dir", "record", "logger", "trial", "rank_timeout", "accept_changed_data", "init_share"),
    *("scale", "dry_run"),  # what a scale sets is in other keys
}
"""Keys that do not affect training: runs that differ in these alone are equal."""
TRAINED_KEYS = {"model", "data", "seed", "batch_size", "budget", "precision", "trainer"}
"""Keys that affect training; every other choice is resolved in ``model`` and ``data``."""
_PRUNING = "callbacks.pruning."
_DEVICES = "trainer.devices"


class Run:
    """The folder of a run: ``config.json`` (resolved), ``run.json`` (its state), checkpoints, logs and images.

    A run that is resumed with another configuration keeps the earlier ones as ``config.1.json``, ``config.2.json``, ….

    Args:
        folder: created when the run begins, if it does not exist.
        made: folders that were made for it, the deepest first; None for those of its path that do not exist yet.
        facts: values that do not change during the run, such as the hardware; recorded in ``run.json``.
    """

    def __init__(self, folder: str | Path, made: Sequence[Path] | None = None, **facts: object) -> None:
        self.folder, self.facts = Path(folder), facts
        self.lock: IO[str] | None = None
        self.is_new = not self.folder.is_dir() or not any(self.folder.iterdir())
        self.made = missing_folders(self.folder) if made is None else [*made]

    def begin(self, config: Mapping[str, object]) -> None:
        """Records the configuration and locks the folder for this process.

        Raises:
            UserError: if another process is training in it, or it cannot be written.
        """
        make_folder(self.folder)
        with writing(self.folder):
            lock = self.lock = (self.folder / ".lock").open("w")
        if hasattr(os, "register_at_fork"):  # a forked loader worker outlives a killed run, and would keep the lock
            os.register_at_fork(after_in_child=lock.close)
        if not _acquire(lock):
            raise UserError(f"Another process is training in {self.folder}: wait for it, or start a new run.")
        for name in (LAST, BEST):
            for temporary in temporary_files(self.folder / name):
                temporary.unlink()
        self._keep_earlier(config)
        write_json(self.folder / "config.json", config)
        self.record("running")

    def _keep_earlier(self, config: Mapping[str, object]) -> None:
        """Copies the configuration of an earlier part of the run to ``config.<number>.json``, if it was another one."""
        earlier, present = read_json(self.folder / "config.json"), cast("dict[str, object]", replace_non_finite(config))
        if earlier and {**earlier, "resume": None} != {**present, "resume": None}:
            numbers = itertools.count(1)
            free = next(p for n in numbers if not (p := self.folder / f"config.{n}.json").exists())
            write_json(free, earlier)

    def record(self, state: str, **details: object) -> None:
        """Records the state, "running", "finished", "stopped", "pruned" or "failed", with details."""
        now = datetime.now().isoformat(timespec="seconds")
        write_json(self.folder / "run.json", {"state": state, "time": now, **self.facts, **details})

    def end(self, state: str, **details: object) -> None:
        """Records how the run ended, and unlocks the folder; on a full disk it records the state alone, if that."""
        try:
            self.record(state, **details)
        except WriteError:
            if state == "finished":
                raise
            self._record_in_place(state)
        finally:
            if self.lock is not None:
                self.lock.close()
                self.lock = None

    def _record_in_place(self, state: str) -> None:
        """Writes the state over the earlier one in its file, which takes no room on the disk."""
        path = self.folder / "run.json"
        with suppress(OSError):
            before = path.read_bytes()
            after = before.replace(b'"state": "running"', f'"state": "{state}"'.encode().ljust(18), 1)
            if len(after) == len(before):
                with path.open("r+b") as file:
                    file.write(after)

    def discard(self) -> None:
        """Removes the folder of a run that never began, unless it was there before, and those above it made for it."""
        if self.lock is not None:
            self.lock.close()
            self.lock = None
        for path in self.folder.glob("*"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        with suppress(OSError):  # other runs are in it
            for folder in self.made:
                folder.rmdir()


def missing_folders(folder: Path) -> list[Path]:
    """Returns those of a path's folders that do not exist, the deepest first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _acquire(lock: IO[str], seconds: float = 2.0) -> bool:
    """Locks a file, and says whether that worked; retries, because ``is_running`` takes the lock for a moment.

    On a file system without locks nothing can be known, and it counts as locked.
    """
    end = time.monotonic() + seconds
    try:
        while not lock_descriptor(lock.fileno(), blocking=False):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
    except OSError:
        return True
    return True


def create_run_dir(runs: str | Path, name: str) -> Path:
    """Creates a new folder for a run, <runs>/<name>/<date>_<time>, with a number if several begin in one second.

    Raises:
        UserError: if no folder can be created.
    """
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    for number in range(1000):
        folder = Path(runs) / name / (stamp if number == 0 else f"{stamp}_{number}")
        try:
            make_folder(folder.parent)
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise UserError(f"No new folder can be created in {runs}: give another with runs=….")


def is_run(folder: Path) -> bool:
    """Tells whether a folder is that of a run: its configuration or its state is there."""
    return (folder / "config.json").is_file() or (folder / "run.json").is_file()


def strange_files(folder: Path) -> list[str]:
    """Returns names of files that a run would overwrite, in a folder that no run has made."""
    written = ("config.json", "run.json", BEST, "metrics.csv", "metrics.jsonl", "samples.png", "samples.gif")
    return [] if read_json(folder / "run.json").get("state") else [n for n in written if (folder / n).exists()]


def run_title(folder: Path) -> str:
    """Returns a title of a run: the run's name (method and data) if it is known, and its folder's name."""
    folder = folder.absolute()
    name = read_json(folder / "config.json").get("name")
    if not (isinstance(name, str) and name):
        name = folder.parent.name if _STAMP.match(folder.name) else ""
    return folder.name if name in folder.name else f"{name} {folder.name}"


def unfinished_runs(runs: str | Path) -> Iterator[Path]:
    """Yields the folders of runs that have a checkpoint, did not finish and are not running now, newest first."""
    for checkpoint in newest_first(Path(runs), LAST):
        folder = checkpoint.parent
        if read_json(folder / "run.json").get("state") not in ENDED and not is_running(folder):
            yield folder


def find_resumable(runs: str | Path, config: Mapping[str, object]) -> tuple[Path | None, Path | None, list[str]]:
    """Finds the newest unfinished run with an equal configuration.

    Returns:
        the folder to resume or None; the folder with the fewest differing keys or None; these keys.
    """
    nearest: tuple[Path | None, list[str]] = (None, [])
    for folder in unfinished_runs(runs):
        keys = _differing_keys_of_run(config, folder)
        if not keys:
            return folder, folder, []
        if nearest[0] is None or len(keys) < len(nearest[1]):
            nearest = (folder, keys)
    return None, *nearest


def find_finished(runs: str | Path, config: Mapping[str, object]) -> Path | None:
    """Returns the folder of the newest finished run with an equal configuration, or None."""
    records = newest_first(Path(runs), "run.json")
    ended = (path.parent for path in records if read_json(path).get("state") == "finished")
    return next((folder for folder in ended if not _differing_keys_of_run(config, folder)), None)


def _differing_keys_of_run(config: Mapping[str, object], folder: Path) -> list[str]:
    """Returns the dotted keys in which ``config`` differs from a run's recorded configuration under its present names.

    For a run of an earlier version, which may lack keys or have others, only ``TRAINED_KEYS`` count.
    """
    upgraded = recorded_configuration(folder)
    keys, is_present = differing_keys(config, upgraded), upgraded in ({}, read_json(folder / "config.json"))
    return keys if is_present else [key for key in keys if key.split(".")[0] in TRAINED_KEYS]


def recorded_configuration(folder: Path) -> dict[str, Any]:
    """Returns a run's recorded configuration under its present names; an empty one if it is missing or damaged."""
    try:
        return upgrade_config(read_json(folder / "config.json"))
    except (AttributeError, LookupError, TypeError):
        return {}


def differing_keys(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """Returns the dotted keys in which two resolved configurations differ, except keys that do not affect training."""
    a, b = ({**dict(flatten(side)), _DEVICES: _num_devices(side)} for side in (one, other))
    folders = (str(one.get("run_dir")), str(other.get("run_dir")))
    missing = object()
    keys = {key for key in a.keys() | b.keys() if a.get(key, missing) != b.get(key, missing)}
    # A value that contains the run's own folder (a logger's) differs between any two runs.
    keys = {key for key in keys if not _same_but_folder(a.get(key), b.get(key), folders)}
    return sorted(key for key in keys if key.split(".")[0] not in IGNORED_KEYS and not key.startswith(_PRUNING))


def _num_devices(config: Mapping[str, Any]) -> int | str | None:
    """Returns the number of devices that a configuration asks for, whichever they are."""
    trainer = config.get("trainer")
    devices = trainer.get("devices") if isinstance(trainer, Mapping) else None
    return len(devices) if isinstance(devices, list) else devices


def _same_but_folder(a: object, b: object, folders: tuple[str, str]) -> bool:
    return isinstance(a, str) and isinstance(b, str) and a.replace(folders[0], "") == b.replace(folders[1], "")


def flatten(node: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the values of nested mappings with their dotted keys, as JSON would store them."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, replace_non_finite(node)


def is_running(folder: Path) -> bool:
    """Says whether a process of this machine is training in a folder."""
    try:
        with (folder / ".lock").open() as lock:
            return not _acquire(lock, seconds=0.1)
    except PermissionError:  # of another user, so that nothing can be known
        return True
    except OSError:
        return False


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Writes a JSON file atomically; numbers that are not finite, which JSON cannot express, become null."""
    text = json.dumps(replace_non_finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        # The name of a file may be no UTF-8: such a byte is written as JSON's own \\udcxx.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def replace_non_finite(node: object) -> object:
    """Returns nested plain containers with None in place of numbers that are not finite."""
    if isinstance(node, Mapping):
        return {key: replace_non_finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [replace_non_finite(value) for value in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def best_value(folder: Path) -> float | None:
    """Returns the metric that a run's best checkpoint was chosen by; None without one."""
    best = read_json(folder / "run.json").get("best")
    value = best.get("value") if isinstance(best, dict) else None
    return float(value) if isinstance(value, int | float) else None


def read_json(path: Path) -> dict[str, Any]:
    """Returns the mapping in a JSON file; an empty one if the file is missing or damaged, or holds something else."""
    return _mapping(path) or {}


def is_damaged(path: Path) -> bool:
    """Says whether a file is there, but holds no JSON mapping."""
    return path.exists() and _mapping(path) is None


def _mapping(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def checkpoint_path(path: str | Path) -> Path:
    """Returns the path of a checkpoint, given that path or a folder, or an address on the hub (``hf://user/name``).

    A run's folder stands for its last checkpoint, and that of an exported model for its weights.

    Raises:
        UserError: if there is no such file.
    """
    if is_on_hub(path):
        return HubModel.of(path).download([WEIGHTS, CONFIG])
    path = Path(path).expanduser()
    if path.is_dir():
        path /= LAST if (path / LAST).is_file() or not (path / WEIGHTS).is_file() else WEIGHTS
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give the path of a file such as runs/…/last.ckpt.")
    return path
