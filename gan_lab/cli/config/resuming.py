"""The configuration of a run that is resumed: its own, and what else the command line says.

``resume=<run>`` puts the run's own overrides before those of the command line, so that all of them are composed
together. What of the run's recorded configuration is no result of its overrides, because it was changed in Python or
an earlier version had other defaults, is then set as it was recorded.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from gan_lab.cli.config.overrides import LITERALS, takes_path
from gan_lab.cli.config.paths import choices, home
from gan_lab.common.upgrade import leaves

Leaves = dict[tuple[str, ...], Any]
"""Values of nested mappings by their keys; an empty mapping is a value."""

OF_ONE_START = ("resume", "run_dir", "generator_from")
"""Keys that are not kept for the next start of a run, for a checkpoint has its generator."""
SECTIONS = ("model", "data", "trainer", "callbacks", "logger")
"""Parts of the configuration that a run has whole: what they lack, it did without."""
OF_THE_LAUNCH = tuple(("trainer", key) for key in ("devices", "num_nodes", "strategy"))
"""Keys that the launcher decides, or this command line."""
PARTS_OF_RUNS = (
    *(
        "gan_lab.evaluation.features",
        "gan_lab.evaluation.metrics",
        "gan_lab.training.callbacks",
        "gan_lab.training.loggers",
    ),
    *("lightning.pytorch.callbacks", "lightning.pytorch.loggers", "lightning.pytorch.strategies"),
)
"""Packages that a run's own configuration may name besides those of a checkpoint."""
MISSING = object()
_FROM_PYTHON: ContextVar[list[str] | None] = ContextVar("overrides", default=None)


def with_own_overrides(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments of a training with those of the run that it resumes, if any, before them.

    Those of a sweep stay as they are, for every job has its own configuration.

    Raises:
        UserError: if they choose another method or other data.
    """
    given = _choice("resume", arguments)
    if not given or given in LITERALS or {"-m", "--multirun"} & {*arguments}:
        return list(arguments)
    path = Path(_unquoted(given)).expanduser()
    own = own_overrides(path) or []
    _check_choices(path, own, arguments)
    typed = {_key(each) for each in arguments}
    return [*(each for each in own if _key(each) not in typed), *arguments]


def _check_choices(path: Path, own: Sequence[str], arguments: Sequence[str]) -> None:
    """Refuses another method or other data, with whose keys the run's own overrides would not compose."""
    from gan_lab.common.errors import UserError
    from gan_lab.common.runs import read_json

    had = {"model": read_json(_folder(path) / "config.json").get("method"), "data": _choice("data", own)}
    for group, choice in had.items():
        asked = _choice(group, arguments)
        if choice and asked in choices(group) and asked != choice:
            raise UserError(
                f"{path} is a run of {group}={choice} and cannot go on as {group}={asked}: leave {group}= out, or "
                "start a new run."
            )


def _choice(group: str, overrides: Sequence[str]) -> str | None:
    return next((each.partition("=")[2] for each in reversed(overrides) if each.startswith(f"{group}=")), None)


def _folder(path: Path) -> Path:
    """The folder of a run, given it or a checkpoint in it."""
    return path if path.is_dir() else path.parent


def own_overrides(path: Path) -> list[str] | None:
    """Returns the overrides that a run was started with, given its folder or a checkpoint in it; None if not known.

    Their relative paths are those of the folder where it was started.
    """
    from gan_lab.common.runs import read_json

    if not path.exists():
        return None
    folder = _folder(path)
    info, config = read_json(folder / "run.json"), read_json(folder / "config.json")
    if isinstance(info.get("overrides"), list):
        own = [each for each in map(str, info["overrides"]) if not each.startswith("-") or "=" in each]
        return list(_from_start(own, folder / "last.ckpt", config))
    words = shlex.split(str(info.get("command", "")))
    return list(_with_paths(words[3:], config)) if words[:3] == ["python", "-m", "gan_lab.train"] else None


def _from_start(own: Sequence[str], checkpoint: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """Yields a run's overrides with its relative paths, and the folder of downloaded data, as they were meant there."""
    from gan_lab.common.start_folder import PATHS, from_start, start_folder

    start, downloads = start_folder(checkpoint), config.get("data_dir")
    if start is not None and isinstance(downloads, str) and _choice("data_dir", own) is None:
        own = [f"data_dir={downloads}", *own]
    for override in own:
        key, _, value = override.partition("=")
        is_path = takes_path(key, PATHS) and value and value not in LITERALS and "${" not in value
        yield f"{key}={from_start(_unquoted(value), start)}" if start and is_path else override


def recorded_overrides(overrides: Sequence[str]) -> list[str]:
    """Returns the overrides of a run that are recorded, for the next start."""
    return [each for each in overrides if _key(each).lstrip("+~") not in OF_ONE_START]


@contextmanager
def composed_from(overrides: Sequence[str]) -> Iterator[None]:
    """Lets ``task_overrides`` return these in the block, for a command that is run from Python."""
    token = _FROM_PYTHON.set(recorded_overrides(overrides))
    try:
        yield
    finally:
        _FROM_PYTHON.reset(token)


def task_overrides() -> list[str] | None:
    """Returns what composes the configuration of the present command again; None if that is not known."""
    from hydra.core.hydra_config import HydraConfig

    if (given := _FROM_PYTHON.get()) is not None or not HydraConfig.initialized():
        return given
    job = HydraConfig.get()
    places = [f"--config-dir={each.path}" for each in job.runtime.config_sources if each.provider == "command-line"]
    found = [each for each in job.overrides.hydra if each.startswith("hydra.searchpath")]
    return [*places, *found, *recorded_overrides(job.overrides.task)]


def check_targets(checkpoint: Path, named: Iterable[str]) -> None:
    """Checks what a run's own configuration names: it may have come from a stranger.

    Modules of the user's own are named in the folder of a run alone, for a checkpoint elsewhere on the command line.

    Raises:
        UserError: for what is neither a part of a run, nor named by gan_lab's configuration, nor the user's own.
    """
    from gan_lab.common.errors import UserError
    from gan_lab.common.runs import is_run

    wrong = [path for path in named if not _may_name(path, is_run(checkpoint.parent))]
    if wrong and (strange := sorted({*wrong} - _shipped_targets())):
        raise UserError(
            f"The configuration of {checkpoint} names {strange[0]}, which is no part of gan_lab: if you trust it, name "
            "it on the command line too, with its key and _target_=."
        )


def _may_name(path: str, users: bool) -> bool:
    """Says whether a class or function is a part of a run or, if ``users`` is set, of a module of the user's own."""
    from gan_lab.common.errors import UserError
    from gan_lab.common.trust import DATA_MODULES, MODEL_PARTS, inside

    if any(part.startswith("_") for part in path.split(".")):
        return False
    if inside(path, PARTS_OF_RUNS) or (users and MODEL_PARTS.foreign({"_target_": path})):
        return True
    for trust in (MODEL_PARTS, DATA_MODULES):
        with suppress(UserError):
            trust.check(path)
            return True
    return False


def _shipped_targets() -> set[str]:
    """The classes and functions that gan_lab's own configuration names, such as another package's networks."""
    files = (file for place in ("conf", "experiments") for file in home(place).rglob("*.yaml"))
    return {name for file in files for name in re.findall(r"_target_: *([\w.]+)", file.read_text(encoding="utf-8"))}


def with_own(
    new: Mapping[str, Any], base: Mapping[str, Any], own: Mapping[str, Any], typed: Collection[str] = ()
) -> dict[str, Any]:
    """Returns a configuration with a run's own values, except where the command line changed them.

    Args:
        new: composed from the run's overrides and the command line's.
        base: composed from the run's overrides alone.
        own: the run's recorded configuration, or some sections of it.
        typed: dotted keys on the command line: they hold even where they are as the base has them.
    """
    old, was, found = (dict(leaves(each)) for each in (own, base, new))
    for path in {**was, **old}:
        recorded, composed = old.get(path, MISSING), was.get(path, MISSING)
        changed = ".".join(path) in typed or found.get(path, MISSING) != composed
        if changed or path in OF_THE_LAUNCH or path[0] not in own or _same(recorded, composed):
            continue
        if path in old:
            found[path] = old[path]
        elif path[0] in SECTIONS:
            del found[path]
    return nested(found)


def nested(found: Leaves) -> dict[str, Any]:
    """Returns the nested mappings of values with their keys; a value takes the place of any that lie below it."""
    whole: dict[str, Any] = {}
    for path, value in found.items():
        if any(path[:end] in found for end in range(1, len(path))):
            continue
        node = whole
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = value
    return whole


def targets(node: object) -> Iterator[str]:
    """Yields what nested containers name as ``_target_``."""
    if isinstance(node, Mapping):
        yield from (str(value) for key, value in node.items() if key == "_target_")
    for value in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from targets(value)


def _same(recorded: object, composed: object) -> bool:
    """Says whether a recorded value is the composed one, as JSON keeps it; one with the run's folder always is."""
    from gan_lab.common.runs import replace_non_finite
    from gan_lab.training.run_config import RUN_DIR

    return (isinstance(composed, str) and Path(RUN_DIR).name in composed) or recorded == replace_non_finite(composed)


def _with_paths(overrides: Sequence[str], config: Mapping[str, Any]) -> Iterator[str]:
    """Yields overrides of a recorded command, with the paths that it leaves out."""
    values = {".".join(path): value for path, value in leaves(config)}
    for override in overrides:
        key, _, value = override.partition("=")
        if value != "…":
            yield override
        elif key in values:
            yield f"{key}={values[key]}"


def _key(override: str) -> str:
    """The key of an override with its sign, or an option's name."""
    return override.partition("=")[0]


def _unquoted(value: str) -> str:
    """The path in an override's value, which may be quoted for Hydra."""
    found = re.fullmatch(r"(['\"])(.*)\1", value, re.DOTALL)
    return re.sub(r"\\(['\"\\])", r"\1", found[2]) if found else value
