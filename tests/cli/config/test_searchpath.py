"""Recipes are found by this program's commands, and other Hydra programs stay as they are."""

import pytest
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

from gan_lab.cli.config.paths import add_searchpath, home
from gan_lab.cli.config.searchpath import PROVIDER, Experiments


@pytest.fixture
def searched(monkeypatch):
    """The providers of a search path after the plugin has seen it, once or several times."""
    monkeypatch.setattr(Experiments, "folder", None)

    def call(main, times=1):
        path = ConfigSearchPathImpl()
        path.append("hydra", "pkg://hydra.conf")
        path.append("main", str(main))
        for _ in range(times):
            Experiments().manipulate_search_path(path)
        return {each.provider: each.path for each in path.get_path()}, len(path.get_path())

    return call


def test_another_program_is_left_alone(searched, tmp_path):
    assert PROVIDER not in searched(tmp_path)[0]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_this_programs_configuration_has_the_recipes_once(searched, scheme):
    places, count = searched(f"{scheme}{home('conf')}", times=2)
    assert places[PROVIDER] == f"file://{home('experiments')}" and count == 3


def test_a_command_of_the_users_own_has_them_too(searched, tmp_path):
    add_searchpath(tmp_path / "recipes")
    assert searched(tmp_path)[0][PROVIDER] == f"file://{tmp_path / 'recipes'}"
