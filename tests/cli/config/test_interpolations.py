"""Configurations stay shallow: few files, interpolations at most two deep, and a literal at most two hops away."""

import re

import pytest
from cases import names
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from gan_lab.cli.config.compose import compose
from gan_lab.cli.config.hydra_versions import version_arguments
from gan_lab.cli.config.paths import add_searchpath, home

FILES = sorted(path for place in ("conf", "experiments") for path in home(place).rglob("*.yaml"))
WITH_IMAGE_SIZE = {"image": "folder", "unpaired": "unpaired", "paired": "paired"}
"""Data whose size is the model's, by kind."""


def bodies(text):
    """The inside of every interpolation in a text, nested ones too, each with its depth from 1."""
    found, opened = [], []
    for number, character in enumerate(text):
        if text.startswith("${", number):
            opened.append(number + 2)
        elif character == "}" and opened:
            found.append((text[opened.pop() : number], len(opened) + 1))
    return found


def references(text):
    """The keys that a text's interpolations refer to; ``oc.select`` names its key without a further ``${``."""
    keys = [re.sub(r"^oc\.select:([\w.]+).*", r"\1", body) for body, _ in bodies(text)]
    return [key for key in keys if re.fullmatch(r"[\w.]+", key)]


def leaves(node, key=""):
    """Every value of nested containers by its dotted key."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    below = {name: value for each, child in items for name, value in leaves(child, f"{key}.{each}").items()}
    return below or {key: node}


def hops(plain, text):
    """The number of references from a value to its literal."""
    if not isinstance(text, str):
        return 0
    ends = [leaf for key in references(text) for leaf in leaves(target(plain, key)).values()]
    return (1 + max(hops(plain, leaf) for leaf in ends)) if ends else 0


def target(plain, key):
    """What a key refers to; the interpolation itself where the key leads through one."""
    node = plain
    for part in key.split("."):
        if isinstance(node, str):
            return node
        node = (node or {}).get(part)
    return node


def test_the_parser_of_interpolations_knows_nested_ones():
    text = "${first:${loss.optimizer.lr},${oc.select:data.lr,1e-3}} of ${seed}"
    assert references(text) == ["loss.optimizer.lr", "data.lr", "seed"]
    assert max(depth for _, depth in bodies(text)) == 2
    plain = {"a": "${b}", "b": {"c": "${d}", "e": 1}, "d": 2, "f": "${b.c}", "g": "${f.h}"}
    assert [hops(plain, plain[key]) for key in "abdfg"] == [2, 0, 0, 2, 3]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_interpolation_is_nested_deeper_than_two(path):
    values = leaves(OmegaConf.to_container(OmegaConf.load(path))).items()
    assert {key: text for key, text in values if any(depth > 2 for _, depth in bodies(str(text)))} == {}


@pytest.mark.parametrize("model", names("model"))
def test_every_value_is_at_most_two_hops_from_its_literal(model):
    kind = compose([f"model={model}"]).data_kind
    data = [f"data={WITH_IMAGE_SIZE[kind]}"] if kind in WITH_IMAGE_SIZE else []
    plain = OmegaConf.to_container(compose([f"model={model}", *data]))
    values = {key: text for part in ("model", "data", "callbacks") for key, text in leaves(plain[part], part).items()}
    assert {key: text for key, text in values.items() if hops(plain, text) > 2} == {}


def test_the_default_model_is_configured_by_nine_files():
    add_searchpath(home("experiments"))
    with initialize_config_dir(str(home("conf")), **version_arguments()):
        loader = GlobalHydra.instance().config_loader()
        defaults = loader.compute_defaults_list("train", ["model=dcgan"], RunMode.RUN).defaults
    files = {each.config_path for each in defaults if each.config_path and not each.config_path.startswith("hydra")}
    assert len(files) <= 9, files


@pytest.mark.parametrize("tier", ["standard", "quick"])
def test_a_tier_of_metrics_states_each_as_its_own_file_does(tier):
    whole = OmegaConf.load(home("conf") / "metrics" / f"{tier}.yaml")
    changed = {"prediction": {"n_perceptual": 0}} if tier == "quick" else {}
    alone = {name: OmegaConf.load(home("conf") / "metrics" / f"{name}.yaml")[name] for name in whole}
    assert whole == OmegaConf.merge(alone, changed)
