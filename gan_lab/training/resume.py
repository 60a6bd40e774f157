"""Which folder a run gets, and which checkpoint it goes on from."""

import os
from pathlib import Path

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.common import runs
from gan_lab.common.distributed import broadcast, is_rank_zero
from gan_lab.common.errors import UserError
from gan_lab.common.runs import checkpoint_path
from gan_lab.training.checkpoint import read
from gan_lab.training.run_config import RUN_DIR, RunConfig

NAMED = 8
"""Keys that are named of those in which an unfinished run differs."""
FOLDER, RESUMED = "GAN_LAB_RUN_DIR", "GAN_LAB_RESUMED"
"""Environment variables by which processes that Lightning starts learn the folder and checkpoint of the first one."""


def choose_run_dir(config: RunConfig) -> tuple[Path, Path | None]:
    """Returns the run's folder, and the checkpoint to continue from, if any; the same on every rank.

    The first process decides. Processes that Lightning starts read its decision from the environment; processes that
    torchrun or SLURM started receive it.

    Raises:
        UserError: if there is no such checkpoint, or the folder holds a run.
    """
    if not dist.is_initialized():
        return _decide(config) if is_rank_zero() else _decided()
    decision: tuple[Path, Path | None] = (Path(), None)
    wrong = ""
    if is_rank_zero():
        try:
            decision = _decide(config)
        except UserError as error:
            wrong = str(error)
    decision, wrong = broadcast((decision, wrong))
    if wrong:
        raise UserError(wrong)
    return decision


def _decide(config: RunConfig) -> tuple[Path, Path | None]:
    given = None if config.run_dir == RUN_DIR else Path(config.run_dir)
    checkpoint = _to_resume(config, given)
    if checkpoint is not None:
        read(checkpoint)
        rank_zero_info(f"Resuming from {checkpoint}")
    goes_on = checkpoint is not None and (given is None or config.resume == "auto")
    folder = checkpoint.parent if goes_on and checkpoint else given
    if folder and (folder / runs.LAST).exists() and not (checkpoint and folder.samefile(checkpoint.parent)):
        raise UserError(f"{folder} holds a run already: add resume={folder}, or give another run_dir.")
    folder = folder or runs.create_run_dir(config.runs, config.name)
    os.environ |= {FOLDER: str(folder), RESUMED: str(checkpoint or "")}
    return folder, checkpoint


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
