"""README, docs/ and CONTRIBUTING: links resolve, commands name what exists, code runs."""

import ast
import json
import re
import shlex
import sys
import warnings
from functools import cache
from pathlib import Path

import pytest
import yaml

from gan_lab.cli.config.deprecations import present_overrides
from gan_lab.common.deprecation import RenamedWarning
from gan_lab.train import train

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "experiments" / "README.md", *DOCS]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "experiments" / "README.md", *DOCS]
"""Pages that name commands and keys of today; the changelog names earlier ones too."""

PYTHON = ("python.md", "adding-a-method.md", "architecture.md", "CONTRIBUTING.md")
"""Pages whose ``name=value`` may be an argument in Python."""

ANYWHERE = ("hydra/launcher=submitit_local", "…", "<name>")
"""Choices that other packages bring, and those that stand for any."""

TIERS = {"full", "standard", "quick", "none"}
LISTED = {"model": "methods.md", "loss": "methods.md", "network": None, "data": "data.md", "remedy": "remedies.md",
          "extractor": "metrics.md", "metrics": "metrics.md"}  # fmt: skip
"""Groups, and the page that has a table of all choices."""


def text_of(page):
    """The text of a page, without the tables that are written from recorded runs."""
    return page.read_text().split("<!-- written from results/")[0]


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_resolves(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M) if anchor else []
        assert not anchor or anchor in map(slug, headings), f"{page.name} links to {link}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in DOCS if page.name != "README.md" and f"({page.name})" not in index] == []


# Configuration keys, read from the files without composing them.


@cache
def configs():
    """Every file of the configuration: group, name, content, package."""
    found = []
    for base in (ROOT / "conf", ROOT / "experiments"):
        for path in base.rglob("*.yaml"):
            group = path.parent.relative_to(base).as_posix().removeprefix(".")
            text = path.read_text()
            package = re.match(r"# @package (\S+)", text)
            place = "" if package else "model" if group in ("base", "core") else group.replace("/", ".")
            found.append((group, path.stem, yaml.safe_load(text) or {}, place))
    return found


@cache
def choices(group):
    return {name for each, name, _, _ in configs() if each == group}


def flat(node, prefix):
    if prefix:
        yield prefix
    for key, value in node.items() if isinstance(node, dict) else ():
        yield from flat(value, f"{prefix}.{key}" if prefix else str(key))


@cache
def train_keys():
    """Every key that a training run can have, with some choice in each group."""
    files = [(content, place) for group, name, content, place in configs() if group or name == "train"]
    return {key for content, place in files for key in flat(content, place)}


@cache
def command_keys(command):
    """The keys of another command."""
    contents = [content for group, name, content, _ in configs() if not group and name == command]
    if contents:
        return set(flat(contents[0], ""))
    nodes = [*ast.walk(ast.parse((ROOT / "gan_lab" / f"{command}.py").read_text()))]
    fields = {node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    return fields | {keyword.arg for node in nodes if isinstance(node, ast.Call) for keyword in node.keywords}


GROUPS = {"evaluate": ("extractor", "metrics"), "pack": ("data",)}
"""The groups of commands other than train."""


def is_known(key, value, command="train"):
    """Whether the command takes ``key=value``; of a value only a choice in a group is looked at."""
    group = key.split("@")[0]
    groups = GROUPS.get(command, ())
    if choices(group) and (command == "train" or group in (*groups, "hydra/launcher")):
        named = re.split(r"[, ]+", value.strip("[]"))
        return all(f"{group}={each}" in ANYWHERE or each in {*choices(group), *ANYWHERE} for each in named)
    keys = train_keys() if command == "train" else command_keys(command)
    if key.startswith("hydra.launcher."):  # of other packages
        return True
    if key.startswith("+"):
        return key[1:].rpartition(".")[0] in keys
    return key in keys or (key in train_keys() and key.startswith(tuple(f"{each}." for each in groups)))


def commands(text):
    """The commands of a text: (command, arguments)."""
    text = text.replace("\\\n", " ")
    for command, rest in re.findall(r"(?:python -m gan_lab\.|gan-lab )(\w+)([^\n`|]*)", text):
        yield command, [word for word in shlex.split(rest.replace(" # ", " \n# "), comments=True) if word != "…"]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_commands_name_existing_commands_choices_and_keys(page):
    wrong = []
    for command, words in commands(text_of(page)):
        assert (ROOT / "gan_lab" / f"{command}.py").is_file(), f"gan_lab.{command}"
        if any(word.startswith("--config-dir") for word in words):
            continue
        given = [word.partition("=") for word in words if "=" in word and not word.startswith("-")]
        wrong += [f"gan_lab.{command} {key}={value}" for key, _, value in given if not is_known(key, value, command)]
    assert wrong == []


@pytest.mark.filterwarnings("ignore::gan_lab.common.deprecation.RenamedWarning")
def test_recorded_commands_still_work():
    wrong = []
    for path in sorted((ROOT / "experiments" / "results").rglob("*.json")):
        for command, words in commands(json.loads(path.read_text()).get("command", "")):
            given = present_overrides([word for word in words if not word.startswith("-")])
            wrong += [f"{path.name}: {each}" for each in given if not is_known(*each.split("=", 1), command)]
    assert wrong == []


def test_every_group_of_the_configuration_is_named():
    (named,) = re.findall(r"The groups in `conf/` are (.*?)\.", (ROOT / "docs" / "architecture.md").read_text(), re.S)
    assert set(re.split(r",\s+|\s+and\s+", named)) == {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_inline_keys_exist(page):
    wrong = []
    names = [path.stem for path in (ROOT / "gan_lab").glob("*.py") if not path.stem.startswith("_")]
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text_of(page), flags=re.S)):
        for word in span.split() if not re.search(r"gan_lab\.(?!train)|gan-lab", span) else ():
            key, equals, value = word.partition("=")
            python = page.name in PYTHON and "." not in key and not choices(key)
            if not equals or not value or python or not re.fullmatch(r"\+?[\w./@]+", key):
                continue
            if not any(is_known(key, value, name) for name in ("train", *names)):
                wrong.append(word)
    assert wrong == []


def tables(text):
    """The entries of the first column of each table that is about a group: (group, entries)."""
    for group, body in re.findall(r"^\| `(\w+)=`.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.M):
        cells = [row.split("|")[1] for row in body.splitlines()]
        yield group, [entry.split()[0] for cell in cells for entry in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_tables_list_existing_choices(page):
    for group, entries in tables(text_of(page)):
        assert set(entries) <= choices(group)
        assert len(entries) == len(set(entries))


@pytest.mark.parametrize("group", [group for group, page in LISTED.items() if page])
def test_every_choice_is_documented(group):
    found = tables((ROOT / "docs" / LISTED[group]).read_text())
    listed = {entry for each, entries in found if each == group for entry in entries}
    assert listed == choices(group) - (TIERS if group == "metrics" else set())


# Code.


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)


@pytest.mark.parametrize("number", range(len(blocks("python.md", "python"))))
def test_python_examples_run(number, tmp_path, monkeypatch):
    code = blocks("python.md", "python")[number]
    if "…" in code:
        ast.parse(code)
        return
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RenamedWarning)
        exec(compile(code, "docs/python.md", "exec"), {})


def test_a_method_with_its_own_phases_trains(tmp_path, monkeypatch):
    """The files and the command of docs/adding-a-method.md, from a folder of the user's."""
    page = "adding-a-method.md"
    for code in (*blocks(page, "python"), *blocks(page, "yaml")):
        path = tmp_path / re.match(r"# (\S+)\n", code)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code.partition("\n")[2])
    (command,) = (words for _, words in commands((ROOT / "docs" / page).read_text()) if "model=tiny" in words)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gan_lab", *command, "debug=smoke", "run_dir=run"])
    train()
    assert "train/autoencoder/reconstruction" in Path("run/metrics.csv").read_text()
