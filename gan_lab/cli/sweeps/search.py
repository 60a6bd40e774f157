"""Searches of hyperparameters: a Hydra sweeper over Optuna, ``hydra/sweeper=optuna``.

Ranges are written as Hydra knows them: ``model.g_optimizer.lr=tag(log,interval(1e-5,1e-2))``,
``loss=choice(hinge,lsgan)``, ``model.generator.base=range(16,64,16)``; keys with a single value stay fixed. Every job
reports its quick metrics, and a pruner ends jobs that fall behind.
"""

import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, Quote, QuotedString, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf

from gan_lab.cli.errors import report_user_errors
from gan_lab.common.atomic import make_folder
from gan_lab.training.study import STUDY_NAME, open_storage

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

DIRECTIONS = {"min": "minimize", "max": "maximize"}


class Search(Sweeper):
    """Asks Optuna for the settings of each job, and reports each job's value to it.

    A search in the folder of an earlier one continues it, first with the jobs that were killed, in their settings. A
    job has the number of its trial.

    Args:
        n_trials: jobs in all, including those of an earlier search in the same folder.
        n_jobs: jobs launched together; more than one needs a launcher that runs them side by side.
        direction: "minimize" or "maximize"; None for that of the best checkpoint (``callbacks.checkpoint.mode``).
        seed: of the sampler.
        sampler, pruner: nodes of Optuna's with ``_target_`` (jobs build the pruner); None for TPE, and for the median
            of finished jobs (``LatestPercentile``).
        params: ranges by key, as on the command line; the command line wins.
        start: the setting of the first job, by key; the sampler chooses the other keys.
    """

    def __init__(
        self,
        n_trials: int = 20,
        n_jobs: int = 1,
        direction: Literal["minimize", "maximize"] | None = None,
        seed: int | None = 0,
        sampler: Any = None,
        pruner: Any = None,
        params: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
    ) -> None:
        self.n_trials, self.n_jobs, self.direction, self.seed = n_trials, n_jobs, direction, seed
        self.sampler, self.pruner, self.params = sampler, pruner, dict(params or {})
        self.start = dict(start or {})

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Launches the jobs, ``n_jobs`` at a time.

        Raises:
            SystemExit: after a sentence, for what cannot be searched.
        """
        report_user_errors(self._search)(arguments)

    def _search(self, arguments: Sequence[str]) -> None:
        assert self.config is not None
        given = self._given(arguments)
        fixed = [str(each.input_line) for each in given if not each.is_sweep_override()]
        space = {each.get_key_element(): _distribution(each) for each in given if each.is_sweep_override()}
        if not space:
            raise _wrong("There is nothing to search: give ranges such as model.g_optimizer.lr=interval(1e-4,1e-2).")
        folder = Path(self.config.hydra.sweep.dir)
        make_folder(folder)
        study = self._study(folder, _direction(self.config, self.direction))
        if start := _as_asked(self.start, space):
            study.enqueue_trial(start, skip_if_exists=True)
        killed = _killed(study, space)
        left = self.n_trials - sum(trial.state.is_finished() for trial in study.trials)
        while left > 0:
            trials = [killed.pop(0) if killed else _asked(study, space) for _ in range(min(self.n_jobs, left))]
            for each in _consecutive(trials):
                self._launch(study, each, [*fixed, *self._of_search(folder)])
            left -= len(trials)
        _told(study)

    def _given(self, arguments: Sequence[str]) -> list[Override]:
        """Returns the command line's overrides, and ``params`` for other keys; the last of equal keys."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = parser.parse_overrides(list(arguments))
        ranges = parser.parse_overrides([f"{key}={value}" for key, value in self.params.items()])
        named = {_bare(each) for each in given}
        kept = [each for each in ranges if _bare(each) not in named]
        return list({each.get_key_element(): each for each in [*kept, *given]}.values())

    def _study(self, folder: Path, direction: str) -> "Study":
        optuna = _optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study: Study = optuna.create_study(
            study_name=STUDY_NAME, storage=open_storage(folder), load_if_exists=True, direction=direction
        )
        if (before := study.direction.name.lower()) != direction:
            raise _wrong(f"{folder} holds a search that is to {before}, not to {direction}: give another folder.")
        study.sampler = self._sampler(len(study.trials))
        return study

    def _sampler(self, asked: int) -> "BaseSampler":
        """Returns the sampler, seeded so that it does not repeat the first settings of an earlier search."""
        if self.sampler:
            from gan_lab.common.instantiate import instantiate  # torch is slow to import

            return instantiate(_plain(self.sampler))  # type: ignore[no-any-return]
        return _optuna().samplers.TPESampler(seed=None if self.seed is None else self.seed + asked)  # type: ignore[no-any-return]

    def _of_search(self, folder: Path) -> list[str]:
        of_pruner = [f"+trial.pruner={_in_grammar(_plain(self.pruner))}"] if self.pruner else []
        return [f"trial.folder={_in_grammar(str(folder.absolute()))}", *of_pruner]

    def _launch(self, study: "Study", trials: "Sequence[Trial | FrozenTrial]", fixed: Sequence[str]) -> None:
        """Launches the jobs of trials that have consecutive numbers."""
        assert self.launcher is not None
        batch = [
            [*fixed, *(f"{key}={value}" for key, value in trial.params.items()), f"trial.id={trial._trial_id}"]
            for trial in trials
        ]
        self.validate_batch_is_legal(batch)
        results = self.launcher.launch(batch, initial_job_idx=trials[0].number)
        for trial, result in zip(trials, results, strict=True):
            _tell(study, trial.number, result.return_value)


PLUGINS = "hydra_plugins"
Search.__module__ = f"{PLUGINS}.gan_lab"


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _bare(override: Override) -> str:
    return override.get_key_element().lstrip("+~")


def _distribution(override: Override) -> "BaseDistribution":
    """Returns Optuna's distribution of a range.

    Raises:
        UserError: for an empty range.
    """
    of = _optuna().distributions
    sweep = override.value()
    try:
        if isinstance(sweep, IntervalSweep):
            assert sweep.start is not None and sweep.end is not None
            whole = "int" in sweep.tags or (isinstance(sweep.start, int) and isinstance(sweep.end, int))
            kind, number = (of.IntDistribution, int) if whole else (of.FloatDistribution, float)
            return kind(number(sweep.start), number(sweep.end), log="log" in sweep.tags)
        if isinstance(sweep, RangeSweep) and isinstance(values := sweep.range(), range):
            return of.IntDistribution(min(values), max(values), step=abs(values.step))
        return of.CategoricalDistribution(list(override.sweep_string_iterator()))
    except ValueError as error:
        raise _wrong(f"{override.input_line} cannot be searched: {error}") from error


def _direction(config: DictConfig, wanted: str | None) -> str:
    """Returns the direction in which the best checkpoint's metric improves.

    Raises:
        UserError: if another direction is asked for.
    """
    mode = OmegaConf.select(config, "callbacks.checkpoint.mode")
    direction = DIRECTIONS.get(mode)
    if wanted and direction and wanted != direction:
        other = next(key for key in DIRECTIONS if key != mode)
        raise _wrong(f"To {wanted} takes callbacks.checkpoint.mode={other}, by which the best checkpoint is chosen.")
    return wanted or direction or DIRECTIONS["min"]


def _as_asked(start: Mapping[str, Any], space: "Mapping[str, BaseDistribution]") -> dict[str, Any]:
    """Returns the first job's setting of the searched keys; choices as text."""
    choices = _optuna().distributions.CategoricalDistribution
    searched = {key: value for key, value in start.items() if key in space}
    return {key: str(value) if isinstance(space[key], choices) else value for key, value in searched.items()}


def _asked(study: "Study", space: "dict[str, BaseDistribution]") -> "Trial":
    try:
        return study.ask(space)
    except ValueError as error:
        raise _wrong(
            f"The ranges do not go with start, or with an earlier search in this folder ({error}): change them, or "
            "give another hydra.sweep.dir."
        ) from error


def _killed(study: "Study", space: "Mapping[str, BaseDistribution]") -> "list[FrozenTrial]":
    """Returns the trials whose jobs did not end and can go on; ends the others."""
    running = (_optuna().trial.TrialState.RUNNING,)
    for trial in study.get_trials(states=running):
        if trial.user_attrs.get("pruned") or trial.params.keys() != space.keys():
            _tell(study, trial.number, None)
    return study.get_trials(states=running)


def _consecutive(trials: "Sequence[Trial | FrozenTrial]") -> "list[list[Trial | FrozenTrial]]":
    """Groups trials by consecutive numbers, because a launcher numbers jobs one after another."""
    groups = groupby(enumerate(trials), key=lambda each: each[1].number - each[0])
    return [[trial for _, trial in group] for _, group in groups]


def _in_grammar(value: Any) -> str:
    """Writes plain containers and values in Hydra's grammar."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_in_grammar(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_in_grammar, value)) + "]"
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    return "null" if value is None else str(value)


def _tell(study: "Study", number: int, value: Any) -> None:
    states = _optuna().trial.TrialState
    if study.trials[number].user_attrs.get("pruned"):
        study.tell(number, state=states.PRUNED)
    elif value is None:
        study.tell(number, state=states.FAIL)
    else:
        study.tell(number, float(value))


def _told(study: "Study") -> None:
    """Prints the best setting as arguments of a run."""
    finished = [trial for trial in study.trials if trial.value is not None and trial.state.name == "COMPLETE"]
    if not finished:
        print("gan_lab: no job came to its end.", file=sys.stderr)
        return
    best = study.best_trial
    setting = " ".join(f"{key}={value}" for key, value in best.params.items())
    print(f"Best: job {best.number}, {best.value:.5g}: {setting}")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise _wrong("A search needs Optuna: pip install 'gan_lab[optuna]'.") from error
    return optuna


def _wrong(sentence: str) -> Exception:
    from gan_lab.common.errors import UserError

    return UserError(sentence)


def register() -> None:
    """Registers the sweeper with Hydra, of which 1.3 takes plugins from a package of its own only."""
    Plugins.instance().register(Search)
    package = sys.modules.setdefault(PLUGINS, ModuleType(PLUGINS))
    sys.modules[Search.__module__] = package.gan_lab = sys.modules[__name__]  # type: ignore[attr-defined]
