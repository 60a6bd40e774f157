"""Which folder a run gets, which checkpoint it goes on from, and that the checkpoint fits: nothing is written here."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common import runs
from gan_lab.common.capabilities import Identity, KnownAgain
from gan_lab.common.distributed import broadcast, is_rank_zero
from gan_lab.common.errors import UserError
from gan_lab.common.runs import checkpoint_path
from gan_lab.common.upgrade import upgrade_config
from gan_lab.training.checkpoint import read
from gan_lab.training.resume_rules import changes, check_changes, told
from gan_lab.training.run_config import RUN_DIR, RunConfig
from gan_lab.training.trainer import RECORDED

NAMED = 8
"""Keys that are named of those in which an unfinished run differs."""
FOLDER, RESUMED = "GAN_LAB_RUN_DIR", "GAN_LAB_RESUMED"
"""Environment variables by which processes that Lightning starts learn the folder and checkpoint of the first one."""


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
    if not dist.is_initialized():
        return _decide(config, data, model) if is_rank_zero() else _decided()
    decision: tuple[Path, Path | None] = (Path(), None)
    wrong = ""
    if is_rank_zero():
        try:
            decision = _decide(config, data, model)
        except UserError as error:
            wrong = str(error)
    decision, wrong = broadcast((decision, wrong))
    if wrong:
        raise UserError(wrong)
    return decision


def _decide(config: RunConfig, data: Any, model: Any) -> tuple[Path, Path | None]:
    given = None if config.run_dir == RUN_DIR else Path(config.run_dir)
    checkpoint = _to_resume(config, given)
    if checkpoint is not None:
        _check_fits(config, checkpoint, data, model)
    folder = _folder(config, given, checkpoint)
    if folder and (folder / runs.LAST).exists() and not (checkpoint and folder.samefile(checkpoint.parent)):
        raise UserError(f"{folder} holds a run already: add resume={folder}, or give another run_dir.")
    if folder and (strange := runs.strange_files(folder)):
        raise UserError(
            f"{folder} holds no run, and a run would overwrite its {' and '.join(strange)}: give another run_dir."
        )
    folder = folder or runs.create_run_dir(config.runs, config.name)
    os.environ |= {FOLDER: str(folder), RESUMED: str(checkpoint or "")}
    return folder, checkpoint


def _folder(config: RunConfig, given: Path | None, checkpoint: Path | None) -> Path | None:
    """The folder that a run goes on in, or was given; None for a new one, as for a checkpoint that lies elsewhere."""
    if checkpoint is not None and (given is None or config.resume == "auto"):
        return checkpoint.parent if runs.is_run(checkpoint.parent) else None
    return given


def own_configuration(checkpoint: Path, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the configuration of a checkpoint's run under its present names.

    Args:
        checkpoint: in the folder of its run, or elsewhere: then some sections are known.
        content: of the checkpoint, if it was read already.

    Raises:
        UserError: if the checkpoint cannot be read.
    """
    if recorded := runs.read_json(checkpoint.parent / "config.json"):
        return upgrade_config(recorded)
    stored = (read(checkpoint) if content is None else content)["gan_lab"]
    return {key: stored[key] for key in RECORDED if key in stored}


def _check_fits(config: RunConfig, checkpoint: Path, data: Any, model: Any) -> None:
    """Checks, before anything of the run is touched, that the configuration, the model and the data go on with it.

    Raises:
        UserError: if they do not.
    """
    content = read(checkpoint)
    own = own_configuration(checkpoint, content) if config.resumes_a_path else {}
    found = check_changes(changes(own, config.values), checkpoint)
    if model is not None:
        _check_weights(checkpoint, content["state_dict"], model.state_dict())
    stored = content["gan_lab"].get("identities")
    if stored and isinstance(data, KnownAgain) and not config.accept_changed_data:
        _check_data(checkpoint, stored, data.identities())
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


def _check_data(checkpoint: Path, stored: Mapping[str, Identity], present: Mapping[str, Identity]) -> None:
    changed = [split for split in {**stored, **present} if not _are_same(stored.get(split), present.get(split))]
    if changed:
        none: Identity = {"count": 0}
        counts = [[side.get(split, none)["count"] for side in (stored, present)] for split in changed]
        told = [
            f"{split}: {a:,} examples, now {f'{b:,}' if b != a else 'others'}"
            for split, (a, b) in zip(changed, counts, strict=True)
        ]
        raise UserError(
            f"The data have changed since {checkpoint} was saved ({'; '.join(told)}), so that test images may be among "
            "those it was trained on: restore them, start a new run, or add accept_changed_data=true."
        )


def _are_same(stored: Identity | None, present: Identity | None) -> bool:
    """Compares what both versions of this program know of a split."""
    if stored is None or present is None:
        return False
    return all(value == present[name] for name, value in stored.items() if name in present)


def _to_resume(config: RunConfig, given: Path | None) -> Path | None:
    if config.resume != "auto":
        return checkpoint_path(str(config.resume)) if config.resume else None
    found, near, keys = runs.find_resumable(given or config.runs, config.values)
    if found is not None:
        return found / runs.LAST
    rank_zero_info("resume=auto: no unfinished run of this configuration, starting a new one.")
    if near is not None:
        named = [*keys[:NAMED], *([f"{len(keys) - NAMED} more"] if len(keys) > NAMED else [])]
        rank_zero_info(f"The nearest unfinished one, {near}, differs in: {', '.join(named)}.")
    return None


def _decided() -> tuple[Path, Path | None]:
    if FOLDER not in os.environ:
        raise UserError(
            f"This process has no run folder ({FOLDER} is unset): start all processes with torchrun or srun."
        )
    return Path(os.environ[FOLDER]), Path(os.environ[RESUMED]) if os.environ[RESUMED] else None
