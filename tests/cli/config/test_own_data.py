"""What a recipe states of its own data holds for them alone."""

import re

import pytest
from cases import names
from omegaconf import OmegaConf

from gan_lab.cli.config.compose import compose, resolve
from gan_lab.cli.config.own_data import keep_facts, say_unused_facts
from gan_lab.cli.config.paths import home

RECIPES = {name: (home("experiments") / "recipe" / f"{name}.yaml").read_text() for name in names("recipe")}


@pytest.fixture(scope="module")
def recipe():
    return compose(["recipe=emoji_cyclegan"])


def facts(recipe, *overrides):
    values = resolve(OmegaConf.merge(recipe, OmegaConf.from_dotlist(list(overrides))))
    return values["name"], values["data"]["name"], values["callbacks"]["fidelity"]["paired"]


@pytest.mark.parametrize("root", ["/data/noto-emoji-blob2modern", "/data/Emoji/images", "emoji.zip"])
def test_its_own_data_have_their_name_and_are_pairs(recipe, root):
    assert facts(recipe, f"data.root={root}") == ("cyclegan-emoji", "emoji", True)


@pytest.mark.parametrize(
    "data", [["data.root=cats_and_dogs"], ["data.root=/emoji/x/y"], ["data.a=cats", "data.b=dogs"]]
)
def test_other_data_have_neither(recipe, data):
    assert facts(recipe, *data) == ("cyclegan-unpaired", "unpaired", None)


def test_data_without_a_folder_are_others(recipe):
    made = compose(["recipe=emoji_cyclegan", "data=plain2striped"])
    assert facts(made) == ("cyclegan-unpaired", "unpaired", None)


def test_what_is_given_holds_for_any_data(recipe):
    given = ["data.root=cats", "data.name=mine", "callbacks.fidelity.paired=true"]
    assert facts(recipe, *given) == ("cyclegan-mine", "mine", True)


def test_what_is_not_used_is_said(recipe, caplog):
    with caplog.at_level("INFO"):
        say_unused_facts(OmegaConf.merge(recipe, {"data": {"root": "/data/emoji"}}))
        assert not caplog.records
        say_unused_facts(OmegaConf.merge(recipe, {"data": {"root": "cats"}}))
    assert [each.message for each in caplog.records] == [
        "cats is not the recipe's own data (emoji): what it states of callbacks.fidelity.paired, data.name is not used."
    ]


@pytest.mark.parametrize("name", names("recipe"))
def test_a_recipe_names_the_data_that_the_user_gives_only_if_they_are_its_own(name):
    stated = re.search(r"^data: *\{? *\n? *name: *(.*)", RECIPES[name], re.MULTILINE)
    assert stated is None or stated[1].startswith('"${own:')
    assert ("${own:" in RECIPES[name]) == ("own_data:" in RECIPES[name])


@pytest.mark.parametrize(
    ("given", "name", "direction"),
    [
        ([], "facades", "b2a"),
        (["data.root=/copies/CMP_Facades/base"], "facades", "b2a"),
        (["data.root=mine"], "paired", "a2b"),
        (["data.root=mine", "data.direction=b2a"], "paired", "b2a"),
        (["data.a=x", "data.b=y", "data.name=mine"], "mine", "a2b"),
    ],
)
def test_the_facts_of_a_public_set_do_not_hold_for_other_data(given, name, direction, caplog):
    caplog.set_level("INFO")
    config = compose(["model=pix2pix", "data=facades", *given])
    assert (config.data.name, config.data.direction) == (name, direction)
    say_unused_facts(config)
    said = "mine is not called facades, so what data=facades states of data.name, data.direction is not used."
    assert [each.message for each in caplog.records] == ([said] if given == ["data.root=mine"] else caplog.messages)
    assert bool(caplog.records) == (name == "paired")


def test_a_run_keeps_the_facts_of_its_data_wherever_they_lie_now():
    config = compose(["model=pix2pix", "data=facades", "data.root=mine", "data.name=typed"])
    keep_facts(config, {"data": {"direction": "b2a", "name": "facades"}})
    assert (config.data.name, config.data.direction) == ("typed", "b2a")
