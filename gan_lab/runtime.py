"""From configurations to objects: a run's life, from its first refusal to its last line."""

import contextlib
import inspect
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from gan_lab import runs
from gan_lab.build import build
from gan_lab.callbacks.checkpoint import TIME_IS_UP, Checkpoint, StopOnSignal, is_cut_short
from gan_lab.capabilities import Predicts, Reconstructs, Restores, Translates
from gan_lab.configuration import resolve, settle
from gan_lab.core.checkpoint import AtomicCheckpointIO, load_weights, read
from gan_lab.launching import is_requeued, meet, requeue
from gan_lab.machine import versions
from gan_lab.ranks import agreed
from gan_lab.results import circumstances, result
from gan_lab.types import UserError

SWITCHES = ("dropout", "batch_statistics", "draws")
"""Of how a model makes pictures, which some models have."""

NAMED = 8
"""Keys that are told of those in which an unfinished run differs."""

ON_PURPOSE = (
    ".*does not have many workers",
    ".*Checkpoint directory .* exists",
    ".*smaller than the logging interval",
    r"Found \d+ module\(s\) in eval mode",
    ".*LeafSpec.* is deprecated",
)
FOLDER, RESUMED = "GAN_LAB_RUN_DIR", "GAN_LAB_RESUMED"
"""Tell the processes that Lightning starts for further devices which folder and checkpoint the first one chose."""


def train(config: DictConfig) -> float | None:
    """Trains what the configuration describes; returns the figure that the best checkpoint is chosen by, for sweeps.

    Raises:
        UserError: for a configuration that cannot work, before anything is built where that can be known.
        SystemExit: 130 after Ctrl-C and 143 after SIGTERM, once the run is saved.
    """
    settle(config)
    meet(str(config.trainer.get("accelerator")))
    if is_requeued() and not config.resume:
        config.resume = "auto"  # with resume=false too, which was meant for its beginning
    parts = resolve(config)
    seed_everything(parts["seed"], workers=True, verbose=False)
    data, model = build(parts["data"]), build(parts["model"])
    if parts["init_from"]:
        left_out = load_weights(model, checkpoint_in(parts["init_from"]))
        rank_zero_info(
            f"Weights from {parts['init_from']}; not taken, for want of a match: {', '.join(left_out) or 'none'}."
        )
    resumed = place(config)
    plain = resolve(config)
    run = runs.Run(plain["run_dir"], **circumstances(config))
    if is_first_process():
        run.begin(plain)
        rank_zero_info(f"Run folder: {plain['run_dir']}")
    try:
        with _quiet():
            trainer, stop = make_trainer(plain)
            trainer.fit(model, datamodule=data, ckpt_path=resumed, weights_only=True)
    except BaseException as error:
        status = _status(error)
        if is_first_process():
            run.end("stopped" if status else "failed", error=str(error))
        if status:
            sys.exit(status)
        raise
    return conclude(run, plain, trainer, model, stop)


def _status(error: BaseException) -> int | None:
    """The exit status of a run that a signal ended between its own handlers; Lightning has turned it into its own."""
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        return 130
    return 143 if isinstance(error, SIGTERMException) else None


def place(config: DictConfig) -> Path | None:
    """Puts the run's folder into the configuration; returns the checkpoint to continue from, if any.

    The first process decides. Those that Lightning starts for further devices read it from the environment; those that
    somebody else started are told.

    Raises:
        UserError: if there is no such checkpoint, or the folder holds a run.
    """
    if not dist.is_initialized():
        return _decided(config) if is_first_process() else _as_the_first_decided(config)
    told: tuple[str, str | None, str] = ("", None, "")
    if is_first_process():
        try:
            checkpoint = _decided(config)
            told = (config.run_dir, str(checkpoint or "") or None, "")
        except UserError as error:
            told = ("", None, str(error))
    config.run_dir, path, wrong = agreed(told)
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
        config.run_dir or (checkpoint and checkpoint.parent) or runs.new_folder(config.runs, config.name)
    )
    os.environ |= {FOLDER: config.run_dir, RESUMED: str(checkpoint or "")}
    return checkpoint


def _to_resume(config: DictConfig) -> Path | None:
    if config.resume != "auto":
        return checkpoint_in(config.resume) if config.resume else None
    # Some folder, for a value that holds the run's own is compared without it.
    wanted = resolve(OmegaConf.merge(config, {"run_dir": config.run_dir or "run_dir"}))  # type: ignore[arg-type]
    found, near, keys = runs.find(config.run_dir or config.runs, wanted)
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


def make_trainer(plain: Mapping[str, Any]) -> tuple[Trainer, StopOnSignal]:
    """Lightning's Trainer with the configured callbacks and loggers, and what every run has."""
    stop = StopOnSignal()
    record = Record({key: plain[key] for key in ("model", "data", "seed", "precision")})
    # A node without a target is what a recipe sets of a callback that was left out.
    chosen = [node for node in plain["callbacks"].values() if node and "_target_" in node]
    callbacks = [stop, record, *(build(node) for node in chosen)]
    loggers = [build(node) for node in (plain["logger"] or {}).values() if node]
    for logger in loggers:
        logger.log_hyperparams(plain)
    trainer = build(
        {
            **plain["trainer"],
            "precision": plain["precision"],
            "max_epochs": -1,
            "use_distributed_sampler": False,
            "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks),
            "enable_model_summary": False,
            "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
            "default_root_dir": plain["run_dir"],
        }
        | {"_partial_": True}
    )(callbacks=callbacks, logger=loggers or False, plugins=[AtomicCheckpointIO()])
    return trainer, stop


class Record(Callback):
    """Writes into every checkpoint what is needed to build the model again, and by what it was made."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self.configuration = dict(configuration)

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["gan_lab"] = {**self.configuration, "versions": versions()}


def conclude(run: runs.Run, plain: Mapping[str, Any], trainer: Trainer, model: Any, stop: StopOnSignal) -> float | None:
    """Records how the run ended, tells the user what to do next, and ends the process after a signal."""
    figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
    state = "stopped" if stop.received else "pruned" if is_cut_short(trainer) else "finished"
    kept = next((callback for callback in trainer.callbacks if isinstance(callback, Checkpoint)), None)  # type: ignore[attr-defined]
    if trainer.is_global_zero:
        counters = {"images_seen": model.images_seen, "iteration": model.iteration, "seconds": model.seconds}
        run.end(state, **counters, figures=figures, best=kept.summary() if kept else {})
    if stop.received:
        rank_zero_info(f"Stopped after {model.images_seen} images: resume=auto goes on from {run.folder / runs.LAST}")
        if stop.received in TIME_IS_UP:
            requeue(stop.received)
        # Lightning would kill the first process at once if another ended with a status of its own.
        sys.exit(128 + stop.received if trainer.is_global_zero else 0)
    if plain["record"] and trainer.is_global_zero:
        runs.write_json(Path(plain["record"]), result(plain, trainer, model))
        if (run.folder / "samples.png").is_file():
            shutil.copyfile(run.folder / "samples.png", Path(plain["record"]).with_suffix(".png"))
    given = f"checkpoint={run.folder / runs.LAST}"
    kinds = {Translates: "translate {} input=… output=…", Predicts: "predict {} input=…"}
    work = next((work for kind, work in kinds.items() if isinstance(model, kind)), "sample {} n=64")
    rank_zero_info(f"Done: python -m gan_lab.{work.format(given)}")
    if isinstance(model, Reconstructs | Restores):
        completes = "" if isinstance(model, Reconstructs) else " hide=bottom"
        rank_zero_info(f"  or: python -m gan_lab.reconstruct {given}{completes}")
    return kept.best if kept else None


def is_first_process() -> bool:
    """Whether this is rank zero, as far as the environment tells before Lightning has started the others."""
    return all(int(os.environ.get(name, 0) or 0) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def checkpoint_in(path: str | Path) -> Path:
    """A checkpoint's path, a run folder standing for its last one.

    Raises:
        UserError: if there is none.
    """
    path = Path(path).expanduser()
    path = path / runs.LAST if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give the path of a file such as runs/…/last.ckpt.")
    return path


def switched(model: Any, plain: Mapping[str, Any]) -> Any:
    """A loaded model with ``ema`` and the ``SWITCHES`` as the command line asks.

    Raises:
        UserError: if the model has no such switch, or a value is neither true nor false.
    """
    asked = {name: plain[name] for name in SWITCHES if plain.get(name) is not None}
    for name, value in {"ema": plain["ema"], **asked}.items():
        if type(value) is not bool:
            raise UserError(f"{name}={value} does not serve: give true or false.")
    model.raw = not plain["ema"]
    known = inspect.signature(model.switch_at_test).parameters if hasattr(model, "switch_at_test") else {}
    foreign = [name for name in asked if name not in known]
    if foreign:
        raise UserError(f"{type(model).__name__} has no such switch: leave {' and '.join(foreign)} away.")
    if asked:
        model.switch_at_test(**asked)
    return model


class _OurOwn(logging.Filter):
    """Lets pass what this program says through Lightning's logger, not Lightning's own remarks and advertisements."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or f"{os.sep}lightning{os.sep}" not in record.pathname


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without remarks on what this program does on purpose: its own loader, cadence and averaged networks."""
    logger, ours = logging.getLogger("lightning.pytorch.utilities.rank_zero"), _OurOwn()
    logger.addFilter(ours)
    try:
        with warnings.catch_warnings():
            for message in ON_PURPOSE:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.removeFilter(ours)
