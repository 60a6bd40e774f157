"""A run's life."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig

from gan_lab.cli.config.checks import settle
from gan_lab.cli.config.compose import resolve
from gan_lab.common import runs
from gan_lab.common.capabilities import Predicts, Reconstructs, Restores, Translates
from gan_lab.common.distributed import is_rank_zero
from gan_lab.common.instantiate import instantiate
from gan_lab.common.launch import is_requeued, join_process_group, requeue
from gan_lab.common.runs import checkpoint_path
from gan_lab.training.callbacks.checkpoint import TIME_LIMIT_SIGNALS, Checkpoint, StopOnSignal, is_cut_short
from gan_lab.training.checkpoint import load_weights
from gan_lab.training.record import circumstances, result
from gan_lab.training.resume import place
from gan_lab.training.trainer import _quiet, make_trainer


def train(config: DictConfig) -> float | None:
    """Trains what the configuration describes; returns the figure that the best checkpoint is chosen by, for sweeps.

    Raises:
        UserError: for a configuration that cannot work, before anything is built where that can be known.
        SystemExit: 130 after Ctrl-C and 143 after SIGTERM, once the run is saved.
    """
    settle(config)
    join_process_group(str(config.trainer.get("accelerator")))
    if is_requeued() and not config.resume:
        config.resume = "auto"  # with resume=false too, which was meant for its beginning
    parts = resolve(config)
    seed_everything(parts["seed"], workers=True, verbose=False)
    data, model = instantiate(parts["data"]), instantiate(parts["model"])
    if parts["init_from"]:
        left_out = load_weights(model, checkpoint_path(parts["init_from"]))
        rank_zero_info(
            f"Weights from {parts['init_from']}; not taken, for want of a match: {', '.join(left_out) or 'none'}."
        )
    resumed = place(config)
    plain = resolve(config)
    run = runs.Run(plain["run_dir"], **circumstances(config))
    if is_rank_zero():
        run.begin(plain)
        rank_zero_info(f"Run folder: {plain['run_dir']}")
    try:
        with _quiet():
            trainer, stop = make_trainer(plain)
            trainer.fit(model, datamodule=data, ckpt_path=resumed, weights_only=True)
    except BaseException as error:
        status = _status(error)
        if is_rank_zero():
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
        if stop.received in TIME_LIMIT_SIGNALS:
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
