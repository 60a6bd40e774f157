"""Sweeps that learn from their jobs: a Hydra sweeper over Optuna itself, ``hydra/sweeper=optuna``.

Ranges are written as Hydra knows them: ``model.g_optimizer.lr=tag(log,interval(1e-5,1e-2))``,
``loss=choice(hinge,lsgan)``, ``network.base=range(16,64,16)``; whatever has a single value stays as it is. Every job
reports its quick figures, and a pruner of Optuna's ends those that fall behind.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gan_lab.trials import STUDY, journal

if TYPE_CHECKING:
    from optuna import Study, Trial


class Search(Sweeper):
    """Asks Optuna for the settings of each job, and tells it what came of them.

    Args:
        n_trials: jobs in all, those of an earlier search in the same folder among them.
        n_jobs: jobs launched together; more than one needs a launcher that runs them side by side.
        direction: "minimize" or "maximize".
        seed: of the sampler.
        sampler, pruner: Optuna's, as nodes with ``_target_`` (jobs build the pruner); None for TPE, and for the median
            of earlier jobs.
        params: ranges by key, as on the command line.
        start: the setting of the first job, by key; what is not in it is the sampler's choice.
    """

    def __init__(
        self,
        n_trials: int = 20,
        n_jobs: int = 1,
        direction: Literal["minimize", "maximize"] = "minimize",
        seed: int | None = 0,
        sampler: Any = None,
        pruner: Any = None,
        params: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
    ) -> None:
        self.n_trials, self.n_jobs, self.direction, self.seed = n_trials, n_jobs, direction, seed
        self.sampler, self.pruner, self.params = sampler, pruner, dict(params or {})
        self.start = dict(start or {})
        self.of_pruner = [f"+trial.pruner={_in_grammar(pruner)}"] if pruner else []

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Launches the jobs, so many at a time."""
        assert self.config is not None and self.launcher is not None and self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in self.params.items()), *arguments])
        fixed = [str(each.input_line) for each in overrides if not each.is_sweep_override()]
        space = [each for each in overrides if each.is_sweep_override()]
        if not space:
            raise _wrong("There is nothing to search: give ranges such as model.g_optimizer.lr=interval(1e-4,1e-2).")
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        study = self._study(folder)
        if self.start:
            study.enqueue_trial(self.start, skip_if_exists=True)
        done = len([trial for trial in study.trials if trial.state.is_finished()])
        while done < self.n_trials:
            trials = [study.ask() for _ in range(min(self.n_jobs, self.n_trials - done))]
            batch = [[*fixed, *_chosen(trial, space), *self.of_pruner, *_of_trial(folder, trial)] for trial in trials]
            self.validate_batch_is_legal(batch)
            results = self.launcher.launch(batch, initial_job_idx=done)
            for trial, result in zip(trials, results, strict=True):
                _tell(study, trial, result.return_value)
            done += len(trials)
        _told(study)

    def _study(self, folder: Path) -> "Study":
        try:
            import optuna
        except ImportError as error:
            raise _wrong("A search needs Optuna: pip install 'gan_lab[optuna]'.") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(
            study_name=STUDY,
            storage=journal(folder),
            load_if_exists=True,
            direction=self.direction,
            sampler=instantiate(self.sampler) if self.sampler else optuna.samplers.TPESampler(seed=self.seed),
        )


PLUGINS = "hydra_plugins"
Search.__module__ = f"{PLUGINS}.gan_lab"


def _chosen(trial: "Trial", space: Sequence[Override]) -> list[str]:
    return [f"{each.get_key_element()}={_suggested(trial, each)}" for each in space]


def _suggested(trial: "Trial", override: Override) -> Any:
    key, sweep = override.get_key_element().lstrip("+"), override.value()
    if isinstance(sweep, IntervalSweep):
        assert sweep.start is not None and sweep.end is not None
        log = "log" in sweep.tags
        if "int" in sweep.tags:
            return trial.suggest_int(key, int(sweep.start), int(sweep.end), log=log)
        return trial.suggest_float(key, float(sweep.start), float(sweep.end), log=log)
    if isinstance(sweep, RangeSweep) and isinstance(sweep.start, int) and isinstance(sweep.step, int):
        assert sweep.stop is not None
        last = sweep.start + (int(sweep.stop) - 1 - sweep.start) // sweep.step * sweep.step
        return trial.suggest_int(key, sweep.start, last, step=sweep.step)
    if isinstance(sweep, ChoiceSweep | RangeSweep):
        return trial.suggest_categorical(key, list(override.sweep_string_iterator()))
    raise _wrong(f"{override.input_line} is no range that can be searched: give interval(), range() or choice().")


def _in_grammar(node: Any) -> str:
    """A mapping of plain values as Hydra's grammar has it."""
    plain: Any = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return "{" + ",".join(f"{key}:{'null' if value is None else value}" for key, value in plain.items()) + "}"


def _of_trial(folder: Path, trial: "Trial") -> list[str]:
    return [f"trial.folder='{folder.absolute()}'", f"trial.id={trial._trial_id}"]


def _tell(study: "Study", trial: "Trial", value: Any) -> None:
    from optuna.trial import TrialState

    pruned = next(each for each in study.trials if each.number == trial.number).user_attrs.get("pruned", False)
    if pruned:
        study.tell(trial, state=TrialState.PRUNED)
    elif value is None:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, float(value))


def _told(study: "Study") -> None:
    """The best setting, as arguments for a run."""
    finished = [trial for trial in study.trials if trial.value is not None and trial.state.name == "COMPLETE"]
    if not finished:
        print("gan_lab: no job came to its end.", file=sys.stderr)
        return
    best = study.best_trial
    setting = " ".join(f"{key}={value}" for key, value in best.params.items())
    print(f"Best: job {best.number}, {best.value:.5g}: {setting}")


def _wrong(sentence: str) -> Exception:
    from gan_lab.types import UserError  # not at the top: it brings torch, for which the shell's TAB should not wait

    return UserError(sentence)


def register() -> None:
    """Makes the sweeper known to Hydra, which takes plugins from a package of its own alone, installed or not."""
    Plugins.instance().register(Search)
    package = sys.modules.setdefault(PLUGINS, ModuleType(PLUGINS))
    sys.modules[Search.__module__] = package.gan_lab = sys.modules[__name__]  # type: ignore[attr-defined]
