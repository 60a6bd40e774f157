"""Which folder a run gets, which checkpoint it goes on from, and that the checkpoint fits: nothing is written here."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common import runs
from gan_lab.common.capabilities import KnownAgain
from gan_lab.common.distributed import broadcast, is_rank_zero
from gan_lab.common.errors import UserError
from gan_lab.common.runs import checkpoint_path
from gan_lab.common.start_folder import start_folder, with_paths_from
from gan_lab.common.upgrade import upgrade_config
from gan_lab.training.checkpoint import read, refuse_weights
from gan_lab.training.resume_rules import Change, changes, check_changes, is_place, told, without_copies
from gan_lab.training.run_config import RUN_DIR, RunConfig
from gan_lab.training.trainer import RECORDED

T = TypeVar("T")
NAMED = 8
"""Keys that are named of those in which an unfinished run differs."""
FOLDER, RESUMED = "GAN_LAB_RUN_DIR", "GAN_LAB_RESUMED"
"""Environment variables by which processes that Lightning starts learn the folder and checkpoint of the first one."""


def check_run_dir(config: RunConfig) -> None:
    """Checks, before the data are read, that there is a checkpoint to go on from and the folder holds no other run.

    Raises:
        UserError: if not; the same on every rank.
    """
    if config.resumes_a_path or config.run_dir != RUN_DIR:
        _agreed(lambda: _plan(config, None), lambda: None)


def choose_run_dir(config: RunConfig, data: Any = None, model: Any = None) -> tuple[Path, Path | None]:
    """Returns the run's folder, and the checkpoint to continue from, if any; the same on every rank.

    The first process decides. Processes that Lightning starts read its decision from the environment; processes that
    torchrun or SLURM started receive it.

    Args:
        config: the run's configuration.
        data, model: its parts, which a checkpoint must fit; None leaves that unchecked.

    Raises:
        UserError: if there is no such checkpoint, it does not fit, or the folder holds a run.
    """
    return _agreed(lambda: _decide(config, data, model), _decided)


def _agreed(first: Callable[[], T], others: Callable[[], T]) -> T:
    """Returns what the first process finds, on every rank of a process group; without a group ``others`` finds it.

    Raises:
        UserError: on every rank, if the first process raises it.
    """
    if not dist.is_initialized():
        return first() if is_rank_zero() else others()
    found, wrong = None, ""
    if is_rank_zero():
        try:
            found = first()
        except UserError as error:
            wrong = str(error)
    found, wrong = broadcast((found, wrong))
    if wrong:
        raise UserError(wrong)
    return cast("T", found)


@dataclass(frozen=True)
class _Plan:
    """What a run is about to do: the checkpoint that it goes on from, and the folder; None for none, and a new one."""

    checkpoint: Path | None
    folder: Path | None
    near: str = ""
    """Says which unfinished run is the nearest of those that it cannot go on from."""


def _plan(config: RunConfig, data: Any) -> _Plan:
    given = None if config.run_dir == RUN_DIR else Path(config.run_dir)
    checkpoint, near = _to_resume(config, given, data)
    refuse_weights(checkpoint)
    if checkpoint is not None and config.resumes_a_path:
        check_changes(changes(own_configuration(checkpoint), config.values), checkpoint)
    folder = _folder(config, given, checkpoint)
    if folder and not (checkpoint and folder.exists() and folder.samefile(checkpoint.parent)):
        check_free(folder, config.resume)
        if (folder / runs.LAST).exists():
            _refuse_other(folder, config)
    return _Plan(checkpoint, folder, near)


def check_free(folder: Path, how: object) -> None:
    """Checks that a run may begin in a folder, or that ``resume=auto`` may look there for one.

    Args:
        folder: may not exist.
        how: the key ``resume``.

    Raises:
        UserError: if it holds a run, or files that a run would overwrite.
    """
    if strange := runs.strange_files(folder):
        raise UserError(
            f"{folder} holds no run, and a run would overwrite its {' and '.join(strange)}: give another run_dir."
        )
    if not (folder / runs.LAST).exists():
        return
    state = runs.read_json(folder / "run.json").get("state")
    if how != "auto":
        raise UserError(f"{folder} holds a run already: add resume={folder}, or give another run_dir.")
    if runs.is_running(folder):
        raise UserError(f"Another process is training in {folder}: wait for it, or give another run_dir.")
    if state in runs.ENDED:
        raise UserError(f"{folder} holds a {state} run, which resume=auto leaves as it is: give another run_dir.")


def _refuse_other(folder: Path, config: RunConfig) -> NoReturn:
    """Refuses a folder that holds an unfinished run with which ``resume=auto`` cannot go on.

    Raises:
        UserError: it says why.
    """
    if own := runs.recorded_configuration(folder):
        check_changes(changes(own, config.values), folder / runs.LAST)
    raise UserError(f"{folder} holds a run of other data: give another run_dir.")


def _decide(config: RunConfig, data: Any, model: Any) -> tuple[Path, Path | None]:
    plan = _plan(config, data)
    if plan.checkpoint is not None:
        _check_fits(config, plan.checkpoint, data, model)
    elif config.resume == "auto":
        rank_zero_info(f"resume=auto: no unfinished run of this configuration, starting a new one.{plan.near}")
    folder = plan.folder or runs.create_run_dir(config.runs, config.name)
    os.environ |= {FOLDER: str(folder), RESUMED: str(plan.checkpoint or "")}
    return folder, plan.checkpoint


def _folder(config: RunConfig, given: Path | None, checkpoint: Path | None) -> Path | None:
    """The folder that a run goes on in, or was given; None for a new one, as for a checkpoint that lies elsewhere."""
    if checkpoint is not None and (given is None or config.resume == "auto"):
        return checkpoint.parent if runs.is_run(checkpoint.parent) else None
    return given


def own_configuration(checkpoint: Path, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the configuration of a checkpoint's run under its present names, with the paths as they were meant there.

    Args:
        checkpoint: in the folder of its run, or elsewhere: then some sections are known.
        content: of the checkpoint, if it was read already.

    Raises:
        UserError: if the checkpoint or the configuration cannot be read.
    """
    file = checkpoint.parent / "config.json"
    if runs.is_damaged(file):
        raise UserError(
            f"{file} is damaged, so the run's settings are not known: put back a copy of the file, or start a new run "
            f"with init_from={checkpoint}."
        )
    if recorded := runs.read_json(file):
        return with_paths_from(start_folder(checkpoint), upgrade_config(recorded))  # type: ignore[no-any-return]
    stored = (read(checkpoint) if content is None else content)["gan_lab"]
    return {key: stored[key] for key in RECORDED if key in stored}


def _check_fits(config: RunConfig, checkpoint: Path, data: Any, model: Any) -> None:
    """Checks, before anything of the run is touched, that the model and the data go on with it; tells what changes.

    Raises:
        UserError: if they do not.
    """
    content = read(checkpoint)
    found = changes(own_configuration(checkpoint, content), config.values)
    if model is not None:
        _check_weights(checkpoint, content["state_dict"], model.state_dict())
    if not config.accept_changed_data and (changed := _changed_data(content, data)):
        raise UserError(_of_data(checkpoint, changed, [each for each in found if is_place(each.key)]))
    rank_zero_info(f"Resuming from {checkpoint}{', with changes:' if found else ''}")
    for line in told(found):
        rank_zero_info(line)


def _check_weights(checkpoint: Path, stored: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    shapes, wanted = ({name: tuple(value.shape) for name, value in side.items()} for side in (stored, present))
    names = [name for name in {**wanted, **shapes} if wanted.get(name) != shapes.get(name)]
    if names:
        there, here = ("×".join(map(str, side[names[0]])) if names[0] in side else "none" for side in (shapes, wanted))
        more = f", and {len(names) - 1} others differ too" if names[1:] else ""
        raise UserError(
            f"The weights of {checkpoint} do not fit this model ({names[0]} is {there} there and {here} here{more}): "
            f"resume it with its own configuration, or start a new run with init_from={checkpoint}."
        )


def _changed_data(content: Mapping[str, Any], data: Any) -> dict[str, tuple[int, int]]:
    """Returns the numbers of examples, stored and present, of the splits that are others; none if nothing is known."""
    stored = content["gan_lab"].get("identities")
    if not stored or not isinstance(data, KnownAgain):
        return {}
    present: dict[str, Any] = data.identities()
    none = {"count": 0}
    return {
        split: (stored.get(split, none)["count"], present.get(split, none)["count"])
        for split in {**stored, **present}
        if not _are_same(stored.get(split), present.get(split))
    }


def _has_same_data(folder: Path, data: Any) -> bool:
    """Says whether the last checkpoint in a folder can be read and knows the data again; without data, True."""
    try:
        return data is None or not _changed_data(read(folder / runs.LAST), data)
    except UserError:
        return False


def _of_data(checkpoint: Path, changed: Mapping[str, tuple[int, int]], places: Sequence[Change]) -> str:
    """Says that the data are others, and which key says so if they are said to lie elsewhere."""
    told = (f"{split}: {a:,} examples, now {f'{b:,}' if b != a else 'others'}" for split, (a, b) in changed.items())
    counts = "; ".join(told)
    if places:
        keys = " and ".join(f"{each.key}={each.new}" for each in places)
        return (
            f"{keys} has other data than {checkpoint} was trained on ({counts}): leave it out, start a new run, or add "
            "accept_changed_data=true."
        )
    return (
        f"The data have changed since {checkpoint} was saved ({counts}), so that test images may be among those it was "
        "trained on: restore them, start a new run, or add accept_changed_data=true."
    )


def _are_same(stored: Mapping[str, Any] | None, present: Mapping[str, Any] | None) -> bool:
    """Compares what both versions of this program know of a split."""
    if stored is None or present is None:
        return False
    return all(value == present[name] for name, value in stored.items() if name in present)


def _to_resume(config: RunConfig, given: Path | None, data: Any) -> tuple[Path | None, str]:
    """Returns the checkpoint to go on from, and else a sentence on the nearest unfinished run."""
    if config.resume != "auto":
        return (checkpoint_path(str(config.resume)) if config.resume else None), ""
    root = given or Path(config.runs)
    found, near, keys = runs.find_resumable(root, config.values)
    if found is None and not config.exact:
        found, near, keys = _find_changed(root, config, data)
    if found is not None:
        return found / runs.LAST, ""
    named = [*keys[:NAMED], *([f"{len(keys) - NAMED} more"] if len(keys) > NAMED else [])]
    return None, f" The nearest unfinished one, {near}, differs in: {', '.join(named)}." if near else ""


def _find_changed(root: Path, config: RunConfig, data: Any) -> tuple[Path | None, Path | None, list[str]]:
    """Finds the newest unfinished run that may go on with another configuration; else see ``runs.find_resumable``."""
    near: Path | None = None
    fewest: list[str] = []
    for folder in runs.unfinished_runs(root):
        if not (own := with_paths_from(start_folder(folder / runs.LAST), runs.recorded_configuration(folder))):
            continue
        found = changes(own, config.values)
        keys = [each.key for each in without_copies([each for each in found if each.reason])]
        keys = keys or ([] if _has_same_data(folder, data) else [each.key for each in found if is_place(each.key)])
        if not keys:
            return folder, folder, []
        if near is None or len(keys) < len(fewest):
            near, fewest = folder, keys
    return None, near, fewest


def _decided() -> tuple[Path, Path | None]:
    if FOLDER not in os.environ:
        raise UserError(
            f"This process has no run folder ({FOLDER} is unset): start all processes with torchrun or srun."
        )
    return Path(os.environ[FOLDER]), Path(os.environ[RESUMED]) if os.environ[RESUMED] else None
