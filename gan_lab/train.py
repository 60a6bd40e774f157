"""Trains a model: ``python -m gan_lab.train model=dcgan data=mnist``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from gan_lab.cli.command import command
from gan_lab.cli.config.resuming import with_own_overrides
from gan_lab.cli.requests import (
    RANK_TIMEOUT,
    DataPaths,
    Extractors,
    Request,
    Size,
    WeightFile,
)
from gan_lab.common.atomic import check_place
from gan_lab.common.bounds import PositiveFloat, PositiveInt, Probability, Seed
from gan_lab.common.errors import UserError
from gan_lab.training.run_config import RUN_DIR

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class MetricPaths:
    weights: Mapping[str, Path | None]


@dataclass(frozen=True)
class CallbackPaths:
    fidelity: MetricPaths


@dataclass(frozen=True)
class Length:
    images: PositiveInt | None
    epochs: PositiveFloat | None
    minutes: PositiveFloat | None


@dataclass(frozen=True, kw_only=True)
class TrainRequest(Request):
    """The keys that are checked here, and the whole configuration as plain containers, ``plain``: its other keys belong
    to the parts that they are arguments of.
    """

    name: str
    seed: Seed
    batch_size: PositiveInt
    budget: Length
    early_stop: PositiveInt | None
    channels_last: bool | None
    compile: bool
    conditional: bool
    image_size: Size
    paper_epochs: PositiveFloat | None
    suggested: Mapping[str, Any]
    groups: tuple[str, ...]
    needs: Mapping[str, Any]
    trial: Mapping[str, Any]
    log_every: PositiveInt
    rank_timeout: PositiveFloat = RANK_TIMEOUT
    resume: Literal["auto", False] | Path | None
    accept_changed_data: bool
    init_from: Path | None
    init_share: Probability
    generator_from: Path | None = None
    dry_run: bool = False
    runs: Path
    run_dir: Path | None
    record: Path | None
    data_dir: Path
    data: Annotated[Mapping[str, Any], DataPaths]
    callbacks: Annotated[Mapping[str, Any] | None, CallbackPaths] = None
    extractor: Extractors | None = None
    encoder: Annotated[Mapping[str, Any], WeightFile] | None = None
    plain: Mapping[str, Any]

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        return super().checked({**values, "plain": values})

    def check_places(self) -> None:
        if self.record is not None and self.record.is_dir():
            raise UserError(f"record={self.record} is a folder: give the path of a JSON file.")
        if self.record is not None:
            check_place(self.record.parent, "record")
        if self.run_dir not in (None, Path(RUN_DIR)):
            check_place(self.run_dir, "run_dir")
        elif self.resume in (None, False, "auto"):
            check_place(self.runs, "runs")


def prepare(config: DictConfig) -> None:
    """Refuses what cannot work before anything is built, and fills in what only the machine, the data or a resumed run
    know.
    """
    from gan_lab.cli.config.checks import check_tools, validate
    from gan_lab.cli.config.found_data import use_found_formats
    from gan_lab.cli.config.going_on import complete, go_on
    from gan_lab.cli.config.own_data import say_unused_facts
    from gan_lab.cli.config.resolvers import is_multirun
    from gan_lab.cli.config.scale import forget_scales
    from gan_lab.common.distributed import is_rank_zero
    from gan_lab.common.launch import is_requeued
    from gan_lab.training.resume import check_free

    if config.dry_run:
        keep_nothing(config)
    complete(config)
    if config.resume and config.resume != "auto":
        go_on(config)
    elif config.run_dir != RUN_DIR and is_rank_zero() and not (is_requeued() or is_multirun()):
        check_free(Path(config.run_dir), config.resume)
    validate(config)
    say_unused_facts(config)
    if config.resume and config.resume != "auto":
        use_found_formats(config)  # the run keeps its scale
    else:
        use_scale_and_formats(config)
    forget_scales(config)
    check_tools(config)


def keep_nothing(config: DictConfig) -> None:
    """Lets a dry run keep decoded pixels in a folder that is removed when the process ends.

    Raises:
        UserError: if the run would go on with another one, whose length is not known.
    """
    import atexit
    import shutil
    import tempfile

    if config.resume:
        raise UserError(f"A dry run estimates a whole run, not the rest of one: leave out resume={config.resume}.")
    folder = tempfile.mkdtemp(prefix="gan_lab-dry-run-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if "cache_dir" in config.data:
        config.data.cache_dir = folder


def use_scale_and_formats(config: DictConfig) -> None:
    """Sets what the run's scale states, then what the data have of their own, and says so."""
    from gan_lab.cli.config.checks import validate
    from gan_lab.cli.config.found_data import use_found_formats
    from gan_lab.cli.config.resuming import task_overrides
    from gan_lab.cli.config.scale import use_scale
    from gan_lab.cli.config.scale_lines import say_scale

    scaled = use_scale(config, task_overrides() or [])
    use_found_formats(config)
    if scaled is not None:
        validate(config)
        say_scale(config, scaled)


def recorded(perform: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Records a job of a sweep; a training of its own is performed as it is."""

    def job(config: DictConfig) -> Any:
        from gan_lab.cli.config.resolvers import is_multirun

        if not is_multirun():
            return perform(config)
        from gan_lab.cli.sweeps import jobs

        return jobs.recorded(perform, config)

    return job


def completed(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments with those of the run that is resumed, and ``--dry-run`` as a key.

    Raises:
        UserError: for the dry run of a sweep, before the sweep has a folder.
    """
    given = ["dry_run=true" if each == "--dry-run" else each for each in arguments]
    if "dry_run=true" in given and {"-m", "--multirun"} & set(given):
        raise UserError("A sweep has no dry run: leave out -m, or --dry-run.")
    return with_own_overrides(given)


@command(TrainRequest, prepare=prepare, wrap=recorded, complete=completed)
def train(request: TrainRequest) -> float | None:
    """Trains a model on a data set. Ctrl-C saves and ends; resume=auto goes on; --dry-run says what it takes."""
    from gan_lab.cli.config.resolvers import is_multirun
    from gan_lab.cli.config.resuming import task_overrides
    from gan_lab.cli.records import called
    from gan_lab.cli.sweeps.jobs import run_job
    from gan_lab.training.dry_run import dry_run
    from gan_lab.training.fit import fit
    from gan_lab.training.run_config import RunConfig

    config = RunConfig.of(request.plain, task_overrides())
    if request.dry_run:
        dry_run(config)
        return None
    return run_job(config, called()) if is_multirun() else fit(config, called())


if __name__ == "__main__":
    train()
