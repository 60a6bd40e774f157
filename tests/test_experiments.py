"""Recipes run, sweeps compose, headers are complete, and the results they state are those that were recorded."""

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tables
import torch
from cases import COMMON, limited, names, thin
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gan_lab.cli.config.checks import validate
from gan_lab.cli.config.compose import compose, resolve
from gan_lab.common.instantiate import instantiate
from gan_lab.data.checks import parse_size
from gan_lab.data.sources.arrays import FakeImages
from gan_lab.data.sources.clip_arrays import FakeClips
from gan_lab.data.sources.domains import FakeDomains
from gan_lab.evaluation.features import maps
from gan_lab.networks.vgg import VGG
from gan_lab.training.run_config import RunConfig
from gan_lab.training.trainer import make_trainer

ROOT = Path(__file__).parent.parent
EXPERIMENTS = ROOT / "experiments"
WRITTEN = (
    "README.md",
    "docs/data.md",
    "docs/exporting.md",
    "docs/likelihood.md",
    "docs/metrics.md",
    "docs/restoring.md",
    "docs/styling.md",
    "experiments/README.md",
)
BATCH, ITERATIONS = 4, 2

HEADER = {
    "recipe": ["Paper", "Command", "Cost", "Expect", "Reached"],
    "sweep": ["Question", "Command", "Cost", "Reached"],
}
HEADERS = [(folder, name) for folder in HEADER for name in names(folder)]
FIGURES = "fdr?_general mind_general fd_grey fd_colour fd_video mse_a_frame nll nll_elbo nll_iw\\d+ codebook_usage"
FIGURE = re.compile(rf"\b({FIGURES.replace(' ', '|')}) (\d+\.\d+)")


def header(folder, name):
    """Returns the header's paragraphs by name; the description of the file is under ""."""
    lines = (EXPERIMENTS / folder / f"{name}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    found, key = {"": ""}, ""
    for line in lines[1:]:
        if not line.startswith("#"):
            break
        if named := re.match(r"# ([A-Z][a-z]+): ", line):
            key = named[1]
        found[key] = f"{found.get(key, '')} {line.removeprefix('#').strip().removeprefix(f'{key}:').strip()}".strip()
    return found


@pytest.mark.parametrize(("folder", "name"), HEADERS, ids=str)
def test_a_header_has_all_named_lines_and_a_command_with_its_name(folder, name):
    found = header(folder, name)
    assert list(found) == ["", *HEADER[folder]] and all(found.values())
    assert re.search(rf"python -m gan_lab\.train .*\b{folder}={name}\b", found["Command"])


def test_every_method_has_a_recipe():
    recipes = [(EXPERIMENTS / "recipe" / f"{name}.yaml").read_text() for name in names("recipe")]
    assert {name for text in recipes for name in re.findall(r"- override /model: (\w+)", text)} == set(names("model"))


@pytest.mark.parametrize("name", names("recipe"))
def test_a_recipe_states_the_recorded_result_or_that_it_was_not_run(name):
    reached = header("recipe", name)["Reached"]
    records = re.findall(r"results/(\w+\.json)", reached)
    assert bool(records) != reached.startswith("not run here")
    recorded = [json.loads((EXPERIMENTS / "results" / record).read_text()) for record in records]
    figures = [each["fidelity"]["figures"] for each in recorded if "fidelity" in each]
    for figure, value in FIGURE.findall(reached):
        assert value in {f"{each[figure]:.{len(value.partition('.')[2])}f}" for each in figures}


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("results/test_file/*.json")), ids=lambda path: path.stem)
def test_a_result_on_a_test_file_belongs_to_the_recorded_run(path):
    measured, run = (json.loads(each.read_text()) for each in (path, EXPERIMENTS / "results" / path.name))
    assert measured["images_seen"] == run["counters"]["images_seen"] and measured["protocol"]["data"]["test"]


def stated_keys(name):
    """Returns the keys in parentheses in a recipe's header."""
    text = " ".join(header("recipe", name).values())
    return [key for part in re.findall(r"\(([\w.@]+=[^()]*)\)", text) for key in part.split(", ")]


@pytest.mark.parametrize("name", [name for name in names("recipe") if stated_keys(name)])
def test_the_keys_in_a_header_work(name):
    config = compose([f"recipe={name}", *stated_keys(name), "runs=/nowhere", "run_dir=/nowhere", "data.root=nowhere"])
    validate(config)
    fidelity = resolve(config)["callbacks"]["fidelity"]
    for parts in (fidelity["extractors"], fidelity["metrics"]):
        assert parts and all(importable(part["_target_"]) for part in parts.values())


def importable(target):
    module, _, name = target.rpartition(".")
    return callable(getattr(importlib.import_module(module), name))


def narrow(config):
    """Returns overrides that make a recipe small; it keeps the configuration of its own data."""
    data = ["data.root=nowhere"] if OmegaConf.is_missing(config.data, "root") else []
    if config.data_kind == "frames":
        data += ["data.size=16", "data.length=4"]
    elif config.data_kind in ("unpaired", "paired"):
        side = 32 if "enhance_begin" in config.model else 16  # half of it must be enough for VGG's pooling
        objects = config.data.domains.a.get("instances")  # random pixels in two channels are not resized
        data += [f"data.size={side}", f"data.load_size={side if objects else 'null'}"]
    elif config.data.size != [1, 1]:
        data.append("data.size=16")
    return [*data, *thin(config)]


def with_random_images(data):
    """Returns a data module whose source is replaced by random pixels; points stay as they are."""
    if hasattr(data, "domains"):
        data.source = FakeDomains(8, data.domains, data.size, data.paired)
    elif hasattr(data, "length"):
        data.source = FakeClips(8, data.classes)
    elif hasattr(data, "source"):
        data.source = FakeImages(8, data.channels, parse_size(data.size), data.classes)
    return data


@pytest.mark.parametrize("name", names("recipe"))
def test_every_recipe_composes_and_runs(name, tmp_path, monkeypatch):
    """With its own configuration, data and schedules, on small random images of the same kind and narrow networks, and
    with random weights where a network's are not part of the package.
    """
    monkeypatch.setattr(maps, "vgg19", lambda taps, weights=None: VGG(taps))
    config = compose([f"recipe={name}", *COMMON, "trainer=cpu", f"run_dir={tmp_path}", *limited(BATCH * ITERATIONS)])
    config.merge_with_dotlist(narrow(config))
    validate(config)
    plain = resolve(config)
    torch.manual_seed(0)
    model, data = instantiate(plain["model"]), with_random_images(instantiate(plain["data"]))
    before = [value.detach().clone() for value in model.parameters()]
    make_trainer(RunConfig.of(plain))[0].fit(model, datamodule=data)
    assert (model.iteration, model.images_seen) == (ITERATIONS, BATCH * ITERATIONS)
    assert all(value.isfinite().all() for value in model.parameters())
    assert not all(map(torch.equal, before, model.parameters()))


def jobs(name):
    """The overrides of a sweep's first and last job: each key's first choice, or its range's ends."""
    params = OmegaConf.load(EXPERIMENTS / "sweep" / f"{name}.yaml").hydra.sweeper.params
    swept = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    ends = []
    for each in swept:
        value = each.value()
        choices = list(each.sweep_string_iterator()) if each.is_discrete_sweep() else [value.start, value.end]
        ends.append([f"{each.get_key_element()}={choice}" for choice in (choices[0], choices[-1])])
    return zip(*ends, strict=True)


@pytest.mark.parametrize("name", names("sweep"))
def test_every_sweep_composes(name):
    for job in jobs(name):
        config = compose([f"sweep={name}", "runs=/nowhere", "run_dir=/nowhere", *job])
        if OmegaConf.is_missing(config.data, "root"):
            config.data.root = "nowhere"
        validate(config)
        plain = resolve(config)
        instantiate(plain["model"])


def test_losses_of_one_seed_have_no_deviation():
    run = {"seed": 0, "counters": {"images_seen": 9}, "fidelity": {"figures": {"fd_grey_gaussian": 18.9}}}
    runs = {name: {**run, "fidelity": {"figures": {"fd_grey": value, "fd_grey_gaussian": 18.9}}}
            for name, value in {"hinge_seed0": 1.0, "hinge_seed1": 2.0, "wgan_seed0": 3.0}.items()}  # fmt: skip
    _, _, hinge, wgan, *_ = tables.losses(runs)
    assert "| 1.00, 2.00 | **1.50** ± 0.71 |" in hinge and "| 3.00 | **3.00** |" in wgan


def test_the_tables_are_made_from_the_results(tmp_path):
    shutil.copytree(EXPERIMENTS, tmp_path / "experiments")
    for name in WRITTEN:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run([sys.executable, tmp_path / "experiments" / "table.py"], check=True)
    for name in WRITTEN:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()
