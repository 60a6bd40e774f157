"""Searches: what is asked, by whose word, what goes on after a kill, and what is refused in one sentence."""

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gan_lab.cli.sweeps.search import Search
from gan_lab.train import train
from gan_lab.training.study import STUDY_NAME, open_storage

RATE = "loss.optimizer.lr"
WIDE = f"{RATE}=tag(log,interval(1e-4,1e-1))"


class Launcher:
    """Takes jobs down in place of launching them; ``killed_at`` is the number of one that ends the process."""

    def __init__(self, killed_at=None):
        self.killed_at, self.jobs = killed_at, {}

    def launch(self, batch, initial_job_idx):
        for number, overrides in enumerate(batch, initial_job_idx):
            self.jobs[number] = dict(each.split("=", 1) for each in overrides)
            if number == self.killed_at:
                raise KeyboardInterrupt
        return [SimpleNamespace(return_value=0.5 + number) for number in range(len(batch))]


@pytest.fixture
def searched(tmp_path):
    """Searches by a sweeper with given arguments; gives the jobs by number and the study."""

    def call(*arguments, killed_at=None, mode="min", **how):
        sweeper = Search(**how)
        sweeper.config = OmegaConf.create(
            {"hydra": {"sweep": {"dir": str(tmp_path)}}, "callbacks": {"checkpoint": {"mode": mode}}}
        )
        loader = SimpleNamespace(load_sweep_config=lambda **_: None)
        sweeper.hydra_context, sweeper.launcher = SimpleNamespace(config_loader=loader), Launcher(killed_at)
        try:
            sweeper.sweep(list(arguments))
        except SystemExit as end:
            if end.code != 130:
                raise
        return sweeper.launcher.jobs, optuna.load_study(study_name=STUDY_NAME, storage=open_storage(tmp_path))

    return call


@pytest.fixture
def refused(searched, capsys):
    """A search that is refused; gives the sentence."""

    def call(*arguments, **how):
        with pytest.raises(SystemExit) as end:
            searched(*arguments, **how)
        assert end.value.code == 2
        return capsys.readouterr().err

    return call


def states(study):
    return [trial.state.name for trial in study.trials]


def test_the_command_line_comes_before_the_ranges_of_a_recipe(searched):
    params = {RATE: "interval(1,2)", "seed": "choice(1,2)"}
    start = {RATE: 1.5, "seed": 2}
    jobs, study = searched(f"{RATE}=1e-3", n_trials=2, params=params, start=start)
    assert [job[RATE] for job in jobs.values()] == ["1e-3"] * 2 and jobs[0]["seed"] == "2"
    assert study.trials[0].params == {"seed": "2"}


def test_a_range_on_the_command_line_replaces_that_of_a_recipe(searched):
    jobs, _ = searched(f"{RATE}=interval(1.2,1.3)", f"+{RATE}=interval(5,6)", f"{RATE}=interval(1.4,1.5)",
                       n_trials=3, params={RATE: "interval(1,2)"})  # fmt: skip
    assert all(1.4 <= float(job[RATE]) <= 1.5 for job in jobs.values()) and len(jobs) == 3


@pytest.mark.parametrize(
    ("text", "low", "high", "step"),
    [
        ("int(interval(1,4))", 1, 4, 1),
        ("tag(int,interval(1,4))", 1, 4, 1),
        ("range(16,64,16)", 16, 48, 16),
        ("range(5,0,-2)", 1, 5, 2),
    ],
)
def test_ranges_of_whole_numbers_ask_for_whole_numbers(searched, text, low, high, step):
    jobs, study = searched(f"model.generator.base={text}", n_trials=3)
    expected = optuna.distributions.IntDistribution(low, high, step=step)
    assert all(trial.distributions["model.generator.base"] == expected for trial in study.trials)
    assert {int(job["model.generator.base"]) for job in jobs.values()} <= set(range(low, high + 1, step))


@pytest.mark.parametrize("text", ["range(5,5)", "interval(2,1)"])
def test_an_empty_range_is_refused(refused, text):
    assert refused(f"seed={text}").startswith(f"gan_lab: seed={text} cannot be searched")


def test_killed_jobs_go_on_first_with_their_settings_and_numbers(searched):
    jobs, study = searched(WIDE, "seed=choice(1,2)", n_trials=4, n_jobs=2, killed_at=2)
    assert states(study) == ["COMPLETE"] * 2 + ["RUNNING"] * 2
    later, study = searched(WIDE, "seed=choice(1,2)", n_trials=7, n_jobs=3)
    assert list(later) == [2, 3, 4, 5, 6] and states(study) == ["COMPLETE"] * 7
    assert later[2] == jobs[2]
    assert all(job["trial.id"] == str(study.trials[number]._trial_id) for number, job in later.items())
    assert all(float(job[RATE]) == study.trials[number].params[RATE] for number, job in later.items())
    assert len({job[RATE] for job in (jobs | later).values()}) == 7  # the sampler does not begin anew


def test_a_gap_between_killed_jobs_leaves_every_number_with_its_trial(searched, capsys):
    _, study = searched(WIDE, n_trials=4, n_jobs=4, killed_at=0)
    study.tell(1, 0.1)
    later, study = searched(WIDE, n_trials=4, n_jobs=4)
    assert list(later) == [0, 2, 3]
    assert all(float(job[RATE]) == study.trials[number].params[RATE] for number, job in later.items())
    assert f"Best: job 1, 0.1: {RATE}={study.trials[1].params[RATE]}" in capsys.readouterr().out


def test_a_killed_job_that_was_pruned_or_is_searched_no_longer_ends(searched, tmp_path):
    _, study = searched(WIDE, n_trials=2, n_jobs=2, killed_at=0)
    storage = open_storage(tmp_path)
    storage.set_trial_user_attr(study.trials[1]._trial_id, "pruned", True)
    jobs, study = searched("seed=range(3)", n_trials=3)
    assert states(study) == ["FAIL", "PRUNED", "COMPLETE"] and list(jobs) == [2]


def test_choices_that_an_earlier_search_did_not_have_are_refused(searched, refused):
    searched("seed=choice(1,2)", n_trials=1)
    assert "give another hydra.sweep.dir" in refused("seed=choice(1,3)", n_trials=2)
    assert states(searched("seed=choice(1,2)", n_trials=3)[1]) == ["COMPLETE", "FAIL", "COMPLETE"]


def test_the_direction_is_that_of_the_best_checkpoint(searched, refused):
    _, study = searched(WIDE, n_trials=1, mode="max")
    assert study.direction.name == "MAXIMIZE"
    assert "takes callbacks.checkpoint.mode=min" in refused(WIDE, n_trials=2, mode="max", direction="minimize")
    assert "is to maximize, not to minimize" in refused(WIDE, n_trials=2)


@pytest.mark.parametrize("folder", ["it's (1), here", r"back\slash'", "a: {b}"])
def test_nested_pruners_and_odd_paths_reach_the_job(folder):
    pruner = {
        "_target_": "optuna.pruners.PatientPruner",
        "wrapped_pruner": {"_target_": "optuna.pruners.PercentilePruner", "percentile": 25.0, "name": folder},
        "patience": 2,
        "min_delta": None,
        "flags": [True, "true", "1"],
    }
    line = Search(pruner=OmegaConf.create(pruner))._of_search(Path("/") / folder)
    at, of = OverridesParser.create().parse_overrides(line)
    assert at.value() == f"/{folder}" and of.value() == pruner


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Runs ``gan_lab.train -m`` with a search in one folder; gives the exit status and what was printed."""

    def call(*arguments):
        monkeypatch.chdir(tmp_path)
        tiny = [
            "data=digits",
            "debug=smoke",
            "model.generator.base=4",
            "model.discriminator.base=4",
            "callbacks.samples=null",
            "callbacks.fidelity.every=64",
        ]
        keys = [*tiny, "data.size=8", "budget.images=128", "hydra/sweeper=optuna", "hydra.sweep.dir=search"]
        monkeypatch.setattr(sys, "argv", ["gan_lab", "-m", *keys, *arguments])
        try:
            train()
        except SystemExit as end:
            return end.code, capfd.readouterr()
        return 0, capfd.readouterr()

    return call


def test_what_cannot_be_searched_is_told_in_one_sentence(run, monkeypatch):
    status, told = run()
    assert status == 2 and told.err.splitlines() == [
        "gan_lab: There is nothing to search: give ranges such as model.g_optimizer.lr=interval(1e-4,1e-2)."
    ]
    monkeypatch.setitem(sys.modules, "optuna", None)
    status, told = run("seed=1,2")
    assert status == 2
    assert told.err.splitlines() == ["gan_lab: A search needs Optuna: pip install 'gan_lab[optuna]'."]


def test_a_search_stays_in_its_ranges_and_goes_on_where_it_was(run, tmp_path):
    space = ["seed=choice(11,12)", "model.g_optimizer.lr=tag(log,interval(1e-4,1e-2))"]
    status, told = run(*space, "hydra.sweeper.n_trials=2")
    assert status == 0 and "Best: job" in told.out
    pruner = "hydra.sweeper.pruner={_target_:optuna.pruners.ThresholdPruner,upper:1.0}"
    run(*space, "hydra.sweeper.n_trials=3", pruner)
    with (tmp_path / "search" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["job"], row["state"]) for row in rows] == [("0", "finished"), ("1", "finished"), ("2", "pruned")]
    config = json.loads((tmp_path / rows[2]["run"] / "config.json").read_text())
    assert config["seed"] in (11, 12) and 1e-4 <= config["model"]["g_optimizer"]["lr"] <= 1e-2
