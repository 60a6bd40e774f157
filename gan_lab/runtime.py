"""From configurations to objects, from checkpoints to models, and what is refused before anything is read or built."""

import contextlib
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_lab import runs
from gan_lab.build import build
from gan_lab.callbacks.checkpoint import Checkpoint, StopOnSignal
from gan_lab.cli import add_searchpath, home, is_multirun, quote_paths
from gan_lab.core.checkpoint import AtomicCheckpointIO, load_weights, read
from gan_lab.machine import auto_precision, versions
from gan_lab.results import result
from gan_lab.types import UserError

REFUSED = {
    "max_steps": "Lightning's steps count every optimizer's: give budget.images, budget.epochs or budget.minutes",
    "max_epochs": "the length of a run is its budget: give budget.epochs",
    "gradient_clip_val": "Lightning cannot clip under manual optimisation: give model.clip",
    "accumulate_grad_batches": "Lightning cannot accumulate under manual optimisation: give model.micro_batches",
}
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
ON_PURPOSE = (
    ".*does not have many workers",
    ".*Checkpoint directory .* exists",
    ".*smaller than the logging interval",
    r"Found \d+ module\(s\) in eval mode",
    ".*LeafSpec.* is deprecated",
)
FOLDER, RESUMED = "GAN_LAB_RUN_DIR", "GAN_LAB_RESUMED"
"""Tell the processes that Lightning starts for further devices which folder and checkpoint the first one chose."""


def first(*values: Any) -> Any:
    """The first value that is not null: ``${first:${loss.optimizer.lr},2e-4}``."""
    return next((value for value in values if value is not None), None)


def unless(*values: Any) -> Any:
    """The last value, or null where one of the others is given: a default length does not cut a stated one."""
    return None if any(value is not None for value in values[:-1]) else values[-1]


def side(size: Any, index: int) -> int | None:
    """Height (0) or width (1) of ``data.size``, a number or [height, width]."""
    if size is None or isinstance(size, int):
        return size
    return int(size[index])


def fused(precision: str) -> bool:
    """Whether an optimizer's fused kernel serves: under float16 it would hide unscaled gradients from clipping."""
    return precision != "16-mixed"


OmegaConf.register_new_resolver("fused", fused, replace=True)
OmegaConf.register_new_resolver("unless", unless, replace=True)
OmegaConf.register_new_resolver("first", first, replace=True)
OmegaConf.register_new_resolver("side", side, replace=True)


def compose(overrides: Sequence[str] = (), config: str = "train") -> DictConfig:
    """The configuration that ``python -m gan_lab.<config> <overrides>`` would get, for use from Python."""
    import hydra

    add_searchpath(home("experiments"))
    with hydra.initialize_config_dir(str(home("conf")), version_base="1.3"):
        return hydra.compose(config, quote_paths(overrides))


def train(config: DictConfig) -> float | None:
    """Trains what the configuration describes; returns the figure that the best checkpoint is chosen by, for sweeps.

    Raises:
        UserError: for a configuration that cannot work, before anything is built where that can be known.
        SystemExit: 130 after Ctrl-C and 143 after SIGTERM, once the run is saved.
    """
    settle(config)
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
    run = runs.Run(plain["run_dir"])
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


def settle(config: DictConfig) -> None:
    """Gives the configuration what only this machine knows, and refuses what cannot work.

    Raises:
        UserError: in one sentence, naming the key that would work.
    """
    for key, reason in REFUSED.items():
        if config.trainer.get(key) is not None:
            raise UserError(f"trainer.{key} does not serve here: {reason}.")
    several = (config.trainer.get("devices"), config.trainer.get("num_nodes")) not in ((1, 1), (1, None))
    if several and config.trainer.get("strategy") == "auto":
        config.trainer.strategy = "ddp_find_unused_parameters_true"  # each phase leaves the others' parameters unused
    if several and is_multirun():
        raise UserError(
            "A sweep in one process cannot start DDP jobs, whose further ranks would run the whole sweep again: "
            "start one gan_lab.train for each job, or sweep with trainer=default."
        )
    if not isinstance(config.batch_size, int) or config.batch_size < 1:
        raise UserError(f"batch_size={config.batch_size} does not serve: give a whole number from 1 up.")
    if config.precision not in PRECISIONS:
        raise UserError(f"precision={config.precision} does not serve: give one of {', '.join(PRECISIONS)}.")
    if config.precision == "auto":
        config.precision = auto_precision(str(config.trainer.get("accelerator")))


def resolve(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, every interpolation resolved.

    Raises:
        UserError: if a key that must be given is not, or an interpolation leads nowhere.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"{missing[0]} must be given: add {missing[0]}=… to the command.")
    try:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(f"The configuration cannot be resolved: {str(error).splitlines()[0]}") from error


def place(config: DictConfig) -> Path | None:
    """Puts the run's folder into the configuration; returns the checkpoint to continue from, if any.

    The first process decides; those that Lightning starts for further devices read it from the environment.

    Raises:
        UserError: if there is no such checkpoint, or processes started from outside would have to guess.
    """
    if not is_first_process():
        return _as_the_first_decided(config)
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
    found, near, keys = runs.find(config.runs, wanted)
    if found is not None:
        return found / runs.LAST
    rank_zero_info("resume=auto: no unfinished run of this configuration, starting a new one.")
    if near is not None:
        rank_zero_info(f"The nearest unfinished one, {near}, differs in: {', '.join(keys)}.")
    return None


def _as_the_first_decided(config: DictConfig) -> Path | None:
    if FOLDER in os.environ:
        config.run_dir = os.environ[FOLDER]
        return Path(os.environ[RESUMED]) if os.environ[RESUMED] else None
    if config.resume == "auto":
        raise UserError("Processes started from outside cannot agree on resume=auto: name the run with resume=runs/….")
    config.run_dir = config.run_dir or str(Path(config.runs) / config.name)
    return checkpoint_in(config.resume) if config.resume else None


def make_trainer(plain: Mapping[str, Any]) -> tuple[Trainer, StopOnSignal]:
    """Lightning's Trainer with the configured callbacks and loggers, and what every run has."""
    stop = StopOnSignal()
    record = Record({key: plain[key] for key in ("model", "data", "seed", "precision")})
    callbacks = [stop, record, *(build(node) for node in plain["callbacks"].values() if node)]
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
    state = "stopped" if stop.received else "finished"
    if trainer.is_global_zero:
        run.end(state, images_seen=model.images_seen, iteration=model.iteration, seconds=model.seconds, figures=figures)
    if stop.received:
        rank_zero_info(f"Stopped after {model.images_seen} images: resume=auto goes on from {run.folder / runs.LAST}")
        # Lightning would kill the first process at once if another ended with a status of its own.
        sys.exit(128 + stop.received if trainer.is_global_zero else 0)
    if plain["record"] and trainer.is_global_zero:
        runs.write_json(Path(plain["record"]), result(plain, trainer, model))
        if (run.folder / "samples.png").is_file():
            shutil.copyfile(run.folder / "samples.png", Path(plain["record"]).with_suffix(".png"))
    rank_zero_info(f"Done: python -m gan_lab.sample checkpoint={run.folder / runs.LAST} n=64")
    return next((callback.best for callback in trainer.callbacks if isinstance(callback, Checkpoint)), None)  # type: ignore[attr-defined]


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
