"""Which run goes on."""

import os
from pathlib import Path

import torch.distributed as dist
from lightning.pytorch.utilities import rank_zero_info
from omegaconf import DictConfig, OmegaConf

from gan_lab.cli.config.compose import resolve
from gan_lab.common import runs
from gan_lab.common.distributed import broadcast, is_rank_zero
from gan_lab.common.errors import UserError
from gan_lab.common.runs import checkpoint_path
from gan_lab.training.checkpoint import read

NAMED = 8
"""Keys that are told of those in which an unfinished run differs."""


FOLDER, RESUMED = "GAN_LAB_RUN_DIR", "GAN_LAB_RESUMED"
"""Tell the processes that Lightning starts for further devices which folder and checkpoint the first one chose."""


def place(config: DictConfig) -> Path | None:
    """Puts the run's folder into the configuration; returns the checkpoint to continue from, if any.

    The first process decides. Those that Lightning starts for further devices read it from the environment; those that
    somebody else started are told.

    Raises:
        UserError: if there is no such checkpoint, or the folder holds a run.
    """
    if not dist.is_initialized():
        return _decided(config) if is_rank_zero() else _as_the_first_decided(config)
    told: tuple[str, str | None, str] = ("", None, "")
    if is_rank_zero():
        try:
            checkpoint = _decided(config)
            told = (config.run_dir, str(checkpoint or "") or None, "")
        except UserError as error:
            told = ("", None, str(error))
    config.run_dir, path, wrong = broadcast(told)
    if wrong:
        raise UserError(wrong)
    return Path(path) if path else None


def _decided(config: DictConfig) -> Path | None:
    checkpoint = _to_resume(config)
    if checkpoint is not None:
        read(checkpoint)
        rank_zero_info(f"Resuming from {checkpoint}")
    if checkpoint is None and config.run_dir and (Path(config.run_dir) / runs.LAST).exists():
        raise UserError(f"{config.run_dir} holds a run already: add resume={config.run_dir}, or give another run_dir.")
    config.run_dir = str(
        config.run_dir or (checkpoint and checkpoint.parent) or runs.create_run_dir(config.runs, config.name)
    )
    os.environ |= {FOLDER: config.run_dir, RESUMED: str(checkpoint or "")}
    return checkpoint


def _to_resume(config: DictConfig) -> Path | None:
    if config.resume != "auto":
        return checkpoint_path(config.resume) if config.resume else None
    # Some folder, for a value that holds the run's own is compared without it.
    wanted = resolve(OmegaConf.merge(config, {"run_dir": config.run_dir or "run_dir"}))  # type: ignore[arg-type]
    found, near, keys = runs.find_resumable(config.run_dir or config.runs, wanted)
    if found is not None:
        return found / runs.LAST
    rank_zero_info("resume=auto: no unfinished run of this configuration, starting a new one.")
    if near is not None:
        shown = [*keys[:NAMED], *([f"{len(keys) - NAMED} more"] if len(keys) > NAMED else [])]
        rank_zero_info(f"The nearest unfinished one, {near}, differs in: {', '.join(shown)}.")
    return None


def _as_the_first_decided(config: DictConfig) -> Path | None:
    if FOLDER not in os.environ:
        raise UserError(
            "This process is no first one, and nobody told it which run it belongs to: start all with torchrun or srun."
        )
    config.run_dir = os.environ[FOLDER]
    return Path(os.environ[RESUMED]) if os.environ[RESUMED] else None
