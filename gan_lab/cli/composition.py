"""Training from Python: what the command line would train, as a model, its data and a trainer."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from gan_lab.cli.command import command_named, make_ready
from gan_lab.cli.config.compose import compose as compose_config
from gan_lab.cli.config.resuming import composed_from, recorded_overrides, with_own_overrides
from gan_lab.common import runs
from gan_lab.common.errors import UserError
from gan_lab.common.launch import join_process_group
from gan_lab.training.callbacks.stop import StopOnSignal
from gan_lab.training.fit import Ending, build_parts
from gan_lab.training.record import environment_info
from gan_lab.training.resume import choose_run_dir
from gan_lab.training.run_config import RUN_DIR, RunConfig
from gan_lab.training.trainer import make_trainer, without_remarks

CALLED = "gan_lab.compose"
"""Stands for the command line in records of runs from Python."""


def compose(command: str = "train", *overrides: str) -> "Composition":
    """Composes a run as the command line does, with the same checks, and returns its parts.

    >>> import gan_lab
    >>> tiny = ["model=dcgan", "data=digits", "data.size=16", "network.base=4", "network.critic_base=4"]
    >>> run = gan_lab.compose("train", *tiny, "budget.images=256", "callbacks=none", "logger=none", "trainer=cpu")
    >>> run.model.n_critic = 2
    >>> model, data, trainer = run
    >>> trainer.fit(model, datamodule=data)
    >>> model.images_seen, tuple(model.sample(4).shape)
    (256, (4, 1, 16, 16))

    Nothing is built before it is used, so ``run.config`` may be changed first. ``trainer.fit(model, datamodule=data)``
    trains as ``python -m gan_lab.train`` does: with its callbacks, its loggers and a run folder, which
    ``callbacks=none logger=none`` leave out; ``resume=auto`` continues a run that was cut short.

    Args:
        command: "train".
        overrides: as on the command line, such as "data=mnist"; paths need no further quotes.

    Raises:
        UserError: for another command, and for everything that the command refuses.
    """
    if command != "train":
        raise UserError(f"compose has the parts of a training run: give 'train' instead of {command!r}.")
    make_ready(command, overrides)
    train, complete = command_named(command), with_own_overrides(overrides)
    with composed_from(complete):
        values = train.check(compose_config(overrides, command))
    train.request.checked(values)
    return Composition(values, recorded_overrides(complete))


class Composition:
    """The parts of a run; ``model, data, trainer = composition`` unpacks them.

    Args:
        config: the resolved configuration in plain containers. Changes have an effect until the first part is used.
        overrides: command-line arguments that it was composed from.
    """

    def __init__(self, config: dict[str, Any], overrides: Sequence[str] | None = None) -> None:
        self.config, self.overrides = config, overrides

    def __iter__(self) -> Iterator[Any]:
        yield from (self.model, self.data, self.trainer)

    @property
    def model(self) -> Any:
        """The model, with its first weights."""
        return self._data_and_model[1]

    @property
    def data(self) -> LightningDataModule:
        """The data module, which has read nothing yet."""
        return self._data_and_model[0]

    @cached_property
    def _data_and_model(self) -> tuple[LightningDataModule, Any]:
        return build_parts(RunConfig.of(self.config, self.overrides))

    @cached_property
    def trainer(self) -> Trainer:
        """Lightning's Trainer with the configured callbacks and loggers; chooses the run's folder.

        Raises:
            UserError: if ``run_dir`` holds a run already, or there is no checkpoint to resume from.
        """
        config = RunConfig.of(self.config, self.overrides)
        folder, checkpoint = Path(), None
        if leaves_files := _leaves_files(config):
            join_process_group(str(config.trainer.get("accelerator")), config.rank_timeout)
            parts = self._data_and_model if config.resume else (None, None)
            folder, checkpoint = choose_run_dir(config, *parts)
        config = config.in_folder(folder)
        with without_remarks():
            trainer, stop = make_trainer(config)
        added = [WithoutRemarks(), *([RunFolder(config, stop)] if leaves_files else [])]
        trainer.callbacks[:0] = added  # type: ignore[attr-defined]
        if checkpoint is not None:
            trainer.fit = partial(trainer.fit, ckpt_path=checkpoint, weights_only=True)  # type: ignore[method-assign]
        return trainer


def _leaves_files(config: RunConfig) -> bool:
    """Tells whether anything is configured that writes into a run's folder, or a folder is named."""
    nodes = [node for nodes in (config.callbacks, config.logger) for node in nodes.values() if node]
    return any("_target_" in node for node in nodes) or config.run_dir != RUN_DIR or bool(config.resume)


class WithoutRemarks(Callback):
    """Silences Lightning's remarks on what a run does on purpose, while it trains."""

    def __init__(self) -> None:
        self.stack = ExitStack()

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        self.stack.enter_context(without_remarks())

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        self.stack.close()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self.stack.close()


class RunFolder(Callback):
    """Records a run in its folder as the command does: its configuration, its state, and how it ended.

    Args:
        config: the run's configuration.
        stop: the callback that ends the run on a signal.
    """

    def __init__(self, config: RunConfig, stop: StopOnSignal) -> None:
        self.config, self.stop = config, stop
        self.run = runs.Run(config.run_dir, **environment_info(config, CALLED))

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if trainer.is_global_zero and stage == "fit":
            self.run.begin(self.config.values)
            rank_zero_info(f"Run folder: {self.run.folder}")

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        data = getattr(trainer, "datamodule", None)
        Ending(self.run, self.config, CALLED, trainer, data, module, self.stop).record()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        if trainer.is_global_zero:
            self.run.end("stopped" if isinstance(exception, KeyboardInterrupt) else "failed", error=str(exception))
