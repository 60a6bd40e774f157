"""A run's life: from its parts to its last line."""

import shlex
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from gan_lab.common import runs
from gan_lab.common.capabilities import Reconstructs, Restores
from gan_lab.common.distributed import is_lost_rank, is_rank_zero
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.launch import is_requeued, join_process_group, process_count, requeue
from gan_lab.common.runs import checkpoint_path
from gan_lab.common.trust import MODEL_PARTS, trust_argument
from gan_lab.evaluation.kinds import task_of
from gan_lab.training.alternating import AlternatingModule
from gan_lab.training.callbacks.checkpoint import Checkpoint
from gan_lab.training.callbacks.early_stop import early_end
from gan_lab.training.callbacks.stop import INTERRUPTED, SIGNALS, TIME_LIMIT_SIGNALS, StopOnSignal, is_cut_short
from gan_lab.training.checkpoint import read, restore
from gan_lab.training.record import environment_info, result
from gan_lab.training.rehearsal import rehearse
from gan_lab.training.resume import check_run_dir, choose_run_dir
from gan_lab.training.run_config import RUN_DIR, RunConfig
from gan_lab.training.trainer import RECORDED, make_trainer, without_remarks
from gan_lab.training.trainer_checks import check_batch_norm, check_micro_batches
from gan_lab.training.transfer import start_from


def fit(config: RunConfig, command: str = "", began: Callable[[Path], None] | None = None) -> float | None:
    """Trains what a configuration describes; returns the metric that the best checkpoint is chosen by.

    Args:
        config: the run's configuration.
        command: the command line, for records.
        began: called with the run's folder once it is chosen.

    Raises:
        UserError: for a configuration that cannot work; nothing is written before the parts and the data are known to
            fit.
        SystemExit: 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP, once the run is saved.
    """
    join_process_group(str(config.trainer.get("accelerator")), config.rank_timeout)
    if is_requeued():
        config = config.resuming_itself()  # also for resume=false, which was meant for the beginning
    check_run_dir(config)
    data, model = build_parts(config)
    find_data(data)
    if is_rank_zero():
        rehearse(config, data, model)
    absent = runs.missing_folders(Path(config.runs) / config.name)
    folder, resumed = choose_run_dir(config, data, model)
    made = [folder, *absent] if config.run_dir == RUN_DIR else None
    if began is not None:
        began(folder)
    config = config.in_folder(folder)
    run = runs.Run(folder, made, **environment_info(config, command))
    if is_rank_zero():
        run.begin(config.values)
        rank_zero_info(f"Run folder: {folder}")
    with recorded_failure(run, model), without_remarks():
        trainer, stop = make_trainer(config)
        with lost_ranks(trainer, config):
            trainer.fit(model, datamodule=data, ckpt_path=resumed, weights_only=True)
    return Ending(run, config, command, trainer, data, model, stop).conclude()


def build_parts(config: RunConfig) -> tuple[Any, Any]:
    """Builds the data module and the model, with the weights of ``init_from`` and ``generator_from`` if given.

    Raises:
        UserError: if they cannot be built, too few weights fit, batches do not split into micro-batches, or batch norm
            would get batches of one.
    """
    seed_everything(config.seed, workers=True, verbose=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element")  # refused next
        data, model = instantiate(config.data), instantiate(config.model)
    check_parts_made(data, model)
    model.configuration = {key: config.values[key] for key in RECORDED}
    synchronised = bool(config.trainer.get("sync_batchnorm"))
    check_micro_batches(model, getattr(data, "batch_size", None), process_count(config.trainer))
    check_batch_norm(model, getattr(data, "batch_size", None), process_count(config.trainer), synchronised)
    if config.generator_from and not config.resumes_a_path:
        restore(model.generator, read(checkpoint_path(config.generator_from)))
    if config.init_from and not config.resumes_a_path:
        start_from(model, config.init_from, config.init_share or 0.0, trained_parts(model))
    elif not config.resumes_a_path and any(
        not each.requires_grad for part in trained_parts(model) for each in part.parameters()
    ):
        rank_zero_warn("Frozen layers keep the weights that were drawn: give init_from=… a run to take others from.")
    return data, model


def trained_parts(model: Any) -> list[nn.Module]:
    """Returns the networks that a method trains."""
    phases = model.phases() if isinstance(model, AlternatingModule) else []
    return [part for phase in phases for part in model.trainable(phase.name)]


def check_parts_made(data: Any, model: Any) -> None:
    """Checks that functions of the configuration made a data module and a model, and that no network is empty.

    Raises:
        UserError: if they did not, or a layer has a width of 0.
    """
    for key, part, kind in (("data", data, LightningDataModule), ("model", model, LightningModule)):
        if not isinstance(part, kind):
            raise UserError(f"{key}._target_ makes a {type(part).__name__}: give a class derived from {kind.__name__}.")
    empty = next((name for name, weight in model.named_parameters() if not weight.numel()), None)
    if empty is not None:
        raise UserError(f"The model's weights {empty} are empty: give widths of at least 1.")


def find_data(data: Any) -> None:
    """Downloads and reads what is missing, before the run has a folder; Lightning would do so later.

    Raises:
        UserError: if there are no such data.
    """
    if is_rank_zero():
        data.prepare_data()
        data.prepare_data = _nothing


def _nothing() -> None:
    """Stands for a preparation that is done."""


@contextmanager
def recorded_failure(run: runs.Run, model: Any) -> Iterator[None]:
    """Records a run that ends by an error, or by a signal outside its own handlers; one that never began is removed.

    Raises:
        SystemExit: after such a signal.
    """
    try:
        yield
    except BaseException as error:
        status = _status(error)
        if is_rank_zero() and model.iteration == 0 and run.is_new:
            run.discard()
        elif is_rank_zero():
            run.end("stopped" if status else "failed", error=str(error))
        if status:
            sys.exit(status)
        raise


@contextmanager
def lost_ranks(trainer: Trainer, config: RunConfig) -> Iterator[None]:
    """Ends all processes of a run when one of them stops answering.

    Raises:
        UserError: in place of the error of a collective that was waited for in vain.
    """
    try:
        yield
    except RuntimeError as error:
        if trainer.world_size == 1 or not is_lost_rank(error):
            raise
        if isinstance(launcher := trainer.strategy.launcher, _SubprocessScriptLauncher):
            launcher.kill(signal.SIGKILL)
        raise UserError(
            f"A process of this run has ended, or has not answered for {config.rank_timeout:g} minutes: see its own "
            "output, and go on with resume=auto; rank_timeout=… changes the time."
        ) from error


def _status(error: BaseException) -> int | None:
    """The exit status of a run that a signal ended between its own handlers; Lightning replaces the exception."""
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt):
        return 130
    if isinstance(error, SystemExit):
        return next((128 + number for number in SIGNALS if error.code == 128 + number), None)
    return 143 if isinstance(error, SIGTERMException) else None


@dataclass(frozen=True)
class Ending:
    """The end of a fit: its record, and what the user can do next."""

    run: runs.Run
    config: RunConfig
    command: str
    trainer: Trainer
    data: Any
    model: Any
    stop: StopOnSignal

    def conclude(self) -> float | None:
        """Records how the run ended and says what can be done next; ends the process after a signal."""
        best = self.record()
        if self.stop.received:
            self._leave(self.stop.received)
        self._suggest(self.run.folder / runs.LAST)
        return best

    def record(self) -> float | None:
        """Records how the run ended; returns the metric that the best checkpoint is chosen by."""
        best = next((each for each in self.trainer.callbacks if isinstance(each, Checkpoint)), None)  # type: ignore[attr-defined]
        if self.trainer.is_global_zero:
            metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
            counters = {name: getattr(self.model, name) for name in ("images_seen", "iteration", "seconds")}
            further = {"missing": self._missing(), "ended_early": early_end(self.trainer)}
            further = {name: value for name, value in further.items() if value}
            self.run.end(self._state(), **counters, figures=metrics, best=best.summary() if best else {}, **further)
            if self.config.record and self._state() != "stopped":
                self._write_result(Path(self.config.record))
        return best.best if best else None

    @property
    def _trained(self) -> bool:
        """True if there is no training left."""
        return self.model.progress >= 1 or early_end(self.trainer) is not None

    def _state(self) -> str:
        if self.stop.received and (not self._trained or INTERRUPTED in self._missing().values()):
            return "stopped"
        return "pruned" if is_cut_short(self.trainer) and not self.stop.received else "finished"

    def _missing(self) -> dict[str, str]:
        """What the end of the run lacks, and why; a run with training left has not come to it."""
        callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
        found = [each.missing(self.model.images_seen) for each in callbacks if hasattr(each, "missing")]
        return {name: why for each in found for name, why in each.items() if self._trained or why != INTERRUPTED}

    def _leave(self, number: int) -> None:
        last, seen = self.run.folder / runs.LAST, f"after {self.model.images_seen} images"
        if self._state() != "stopped":
            rank_zero_info(f"The signal came {seen}, when everything was done: {self.run.folder}")
        elif last.is_file():
            rank_zero_info(f"Stopped {seen}: resume=auto goes on from {last}")
        else:
            rank_zero_info(f"Stopped {seen}; no checkpoint was saved.")
            if self.trainer.is_global_zero and self.run.is_new and self.model.iteration == 0:
                self.run.discard()
        if number in TIME_LIMIT_SIGNALS and self._state() == "stopped":
            requeue(number)
        # Lightning would kill the first process at once if another ended with a status of its own.
        sys.exit(128 + number if self.trainer.is_global_zero else 0)

    def _write_result(self, path: Path) -> None:
        runs.write_json(path, result(self.config, self.command, self.trainer, self.model))
        if (self.run.folder / "samples.png").is_file():
            shutil.copyfile(self.run.folder / "samples.png", path.with_suffix(".png"))

    def _suggest(self, checkpoint: Path) -> None:
        if not checkpoint.is_file():
            rank_zero_info(f"Done: no checkpoint was saved, for callbacks.checkpoint is left out: {self.run.folder}")
            return
        path, task = shlex.quote(str(checkpoint)), task_of(self.model, self.data)
        path += trust_argument(MODEL_PARTS.foreign([self.config.model, self.config.data]))
        use = task.command if task else "evaluate checkpoint={checkpoint}"
        rank_zero_info(f"Done: python -m gan_lab.{use.format(checkpoint=path)}")
        if isinstance(self.model, Reconstructs | Restores):
            completes = "" if isinstance(self.model, Reconstructs) else " hide=bottom"
            rank_zero_info(f"  or: python -m gan_lab.reconstruct checkpoint={path}{completes}")
