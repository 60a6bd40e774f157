"""What a checkpoint may name: all that is reachable through the list is walked through, and the rest is refused."""

import builtins
import importlib
import os
import pkgutil
import re
import sys
from functools import partial
from types import SimpleNamespace

import code_walk
import pytest
from code_walk import Walk

from gan_lab.cli.config.paths import home
from gan_lab.cli.session import Session
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate, resolve_target
from gan_lab.common.trust import DATA_MODULES, MODEL_PARTS


def modules_of(package):
    module = importlib.import_module(package)
    yield module
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{package}."):
        yield importlib.import_module(found.name)


def reachable(trust):
    """Yields every path below the trusted modules that resolves, and every single name, with what it leads to."""
    modules = [module for package in trust.modules for module in modules_of(package)]
    below = {f"{module.__name__}.{name}" for module in modules for name in vars(module)}
    for path in sorted(below | trust.names):
        try:
            yield path, resolve_target(path, trust)
        except UserError:
            assert path not in trust.names, path


@pytest.fixture(scope="module")
def parts():
    return dict(reachable(MODEL_PARTS))


def test_nothing_that_a_checkpoint_may_name_imports_opens_loads_or_evaluates(parts):
    walk = Walk()
    for part in parts.values():
        walk.visit(part)
    assert not walk.found, "\n".join(" > ".join(way) for way in walk.found)
    assert len(parts) > 500 and len(walk.seen) > 2000, "the walk goes through methods and what they call"


def named(name):
    return importlib.import_module(name)


class Reads:
    def __init__(self, path):
        self.path = path

    @property
    def text(self):
        return [open(each).read() for each in [self.path]]  # noqa: PTH123


class Pretty(Reads):
    name = staticmethod(partial(getattr(builtins, "eval"), "1"))  # noqa: B009

    def __call__(self, name):
        return getattr(os, name)


def local(name):
    import pickle

    return pickle.loads(name)


def indirect(name):
    return [named(each) for each in name]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        (named, "importlib.import_module"),
        (partial(indirect, []), "importlib.import_module"),
        (Reads, "io.open"),
        (Pretty, "getattr of os"),
        (local, "pickle"),
        (lambda name: sys.modules[name], "sys.modules"),
        (lambda code: eval(code), "builtins.eval"),
    ],
)
def test_the_walk_finds_what_it_is_for(part, found, monkeypatch):
    monkeypatch.setattr(code_walk, "FOLLOWED", (*code_walk.FOLLOWED, __name__))
    walk = Walk()
    walk.visit(part)
    assert found in {way[-1] for way in walk.found}


def test_models_and_data_are_lists_of_their_own(parts):
    assert not any(path.startswith("gan_lab.data") for path in parts)
    data = dict(reachable(DATA_MODULES))
    assert {path.rpartition(".")[0] for path in data} == {*DATA_MODULES.modules}
    with pytest.raises(UserError, match="no part of a model"):
        instantiate({"_target_": "gan_lab.data.presets.fake"}, MODEL_PARTS)


OTHERS = (
    "gan_lab.evaluation.",
    "gan_lab.training.callbacks.",
    "gan_lab.training.loggers.",
    "gan_lab.cli.",
    "lightning.",
)
OTHERS += ("optuna.", "hydra_plugins.", "timm.", "torchvision.models.")


def test_every_part_of_our_configurations_may_be_named():
    """Models and recipes, whatever they combine: what is left out is never in a model."""
    files = [*home("conf").rglob("*.yaml"), *home("experiments").rglob("*.yaml")]
    targets = {name for file in files for name in re.findall(r"_target_: *([\w.]+)", file.read_text())}
    models = {name for name in targets if not name.startswith(OTHERS)}
    assert len(models) > 80
    for name in models:
        resolve_target(name, DATA_MODULES if name.startswith("gan_lab.data.") else MODEL_PARTS)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "importlib.import_module",
        "torch.load",
        "torch.hub.load",
        "torch.jit.load",
        "torch.tensor",
        "torch.nn.Module",
        "torch.nn.DataParallel",
        "torch.optim.Optimizer",
        "torchvision.models.resnet18",
        "torchvision.datasets.FakeData",
        "torchvision.transforms.v2.Lambda",
        "numpy.load",
        "lightning.pytorch.Trainer",
        "gan_lab.load",
        "gan_lab.train.train",
        "gan_lab.training.checkpoint.load",
        "gan_lab.common.instantiate.instantiate",
        "gan_lab.evaluation.features.perceptual.lpips",
        "gan_lab.data.reading.files.ImageFiles",
        "torch.nn.functional.torch.load",  # through a module's imports
        "torch.nn.init.warnings.sys.exit",
        "gan_lab.models.vqgan.torch.load",
        "torch.nn.Linear.forward",  # methods could be chained into anything
        "torchvision.transforms.v2.Compose.__call__",
        "gan_lab.networks.dcgan.init_normal.__globals__.get",
        "gan_lab.networks.dcgan.Generator.forward",
        "torch.nn._reduction.get_enum",  # what is private
        "gan_lab.data.reading.files._stamp",
        "gan_lab.models._no.Such",
        "torch.nn..Linear",
        "",
    ],
)
def test_a_checkpoint_must_not_name(target):
    for trust in (MODEL_PARTS, DATA_MODULES, MODEL_PARTS.extended(["my_methods"])):
        with pytest.raises(UserError, match=r"no part of a model|no class or function") as error:
            instantiate({"model": [{"_target_": target, "_partial_": True}]}, trust)
        assert "trust=[torch" not in str(error.value) and "trust=[gan_lab" not in str(error.value)


@pytest.mark.parametrize(
    "module",
    [
        *(
            "torch",
            "torch.nn",
            "torchvision",
            "builtins",
            "os",
            "os.path",
            "sys",
            "importlib",
            "subprocess",
            "collections",
        ),
        *(
            "gan_lab",
            "gan_lab.training",
            "numpy",
            "lightning",
            "hydra.utils",
            "pickle",
            "runpy",
            "__main__",
            "_my",
            "a._b",
        ),
        *("", ".", "my methods", "my-methods"),
    ],
)
def test_what_nobody_wrote_is_not_trusted_even_if_asked_for(module):
    with pytest.raises(UserError, match=r"trust=\[.*\] is refused because .*: give a module of your own\.$"):
        MODEL_PARTS.extended([module])


def test_modules_of_the_users_own_are_trusted(tmp_path, monkeypatch):
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text("from my_package.parts import Mine\nfrom os import system\n")
    (tmp_path / "my_package" / "parts.py").write_text("class Mine: ...\n\nclass _Hidden: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    advice = (
        r"my_package\.Mine, which is no part of gan_lab: .* add trust=\[my_package\], which runs that module's code"
    )
    with pytest.raises(UserError, match=advice):
        instantiate({"_target_": "my_package.Mine"}, MODEL_PARTS)
    assert "my_package" not in sys.modules, "nothing is imported before it is trusted"
    for module in ("my_package", "my_package.parts"):
        assert (
            type(instantiate({"_target_": "my_package.parts.Mine"}, MODEL_PARTS.extended([module]))).__name__ == "Mine"
        )
    trust = MODEL_PARTS.extended(["my_package"])
    assert type(instantiate({"_target_": "my_package.Mine"}, trust)).__name__ == "Mine"
    for target in ("my_package.system", "my_package.parts._Hidden", "my_package.parts.Mine.mro"):
        with pytest.raises(UserError):
            instantiate({"_target_": target, "_partial_": True}, trust)


def test_what_reads_weights_is_named_as_a_partial_and_gets_no_path():
    node = {
        "_target_": "gan_lab.evaluation.features.perceptual.perceptual_distance",
        **{"networks": ["vgg16"], "shortest": 16, "weights": {"vgg16": "anything"}},
    }
    with pytest.raises(UserError, match="no part of a model"):
        instantiate(node, MODEL_PARTS)
    with pytest.raises(UserError, match="no part of a model"):
        instantiate({**node, "_partial_": True, "_args_": [1]}, MODEL_PARTS)
    later = instantiate({**node, "_partial_": True}, MODEL_PARTS)
    assert later.keywords == {"networks": ["vgg16"], "shortest": 16} and later().name == "colour"


ELSEWHERE = [
    {"_target_": "gan_lab.data.presets.stream", "name": "x", "root": "s3://theirs/set", "batch_size": 2},
    {"_target_": "gan_lab.data.presets.hub", "name": "theirs/set", "cache": "disk", "batch_size": 2},
]


@pytest.fixture
def contacted(monkeypatch):
    """Lists what is asked for at URLs and at the hub."""
    asked = []

    class Downloader:
        def download_file(self, name, _):
            asked.append(name)
            raise OSError("no network")

    def load_dataset(name, *_, **__):
        asked.append(name)
        raise OSError("no network")

    monkeypatch.setattr("gan_lab.data.shards.places._litdata_downloader", lambda *_: Downloader())
    monkeypatch.setattr(
        "gan_lab.data.sources.hub._datasets", lambda: SimpleNamespace(load_dataset=load_dataset, DatasetDict=dict)
    )
    return asked


def session_of(node, folder):
    sizes = {"channels": 3, "classes": 0, "size": 8}
    return Session(folder / "last.ckpt", {"data": sizes | node}, None, None)


@pytest.mark.parametrize("node", ELSEWHERE, ids=["url", "hub"])
def test_no_url_and_no_hub_that_a_checkpoint_names_is_contacted(node, tmp_path, contacted):
    for changes in ({}, {"batch_size": 1}):
        with pytest.raises(UserError, match="is named by the checkpoint, and no such place is contacted: give data"):
            session_of(node, tmp_path).data(changes=changes)
    assert contacted == []


@pytest.mark.parametrize(
    ("node", "changes", "asked"),
    [
        (ELSEWHERE[0], {"root": "s3://mine/set"}, "s3://mine/set/shards.json"),
        (ELSEWHERE[1], {"name": "mine/set"}, "mine/set"),
    ],
    ids=["url", "hub"],
)
def test_those_that_the_user_names_are(node, changes, asked, tmp_path, contacted, monkeypatch):
    monkeypatch.setenv("GAN_LAB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="no network"):
        session_of(node, tmp_path).data(changes=changes)
    assert {*contacted} == {asked}


def test_a_name_does_not_allow_downloads_to_a_checkpoints_folder(tmp_path):
    node = {"_target_": "gan_lab.data.presets.mnist", "name": "x", "root": str(tmp_path / "no"), "batch_size": 2}
    with pytest.raises(UserError, match="a folder that the checkpoint names"):
        session_of(node | {"channels": 1}, tmp_path).data(changes={"name": "y"})
