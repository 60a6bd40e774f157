"""What is meant by a key that a configuration does not have."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from gan_lab.cli.config.paths import choices
from gan_lab.cli.config.refused import REFUSED
from gan_lab.common.arguments import accepted_arguments
from gan_lab.common.near_names import nearest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

NAMED = 8
"""Keys that are named where none is near."""
FOLDERS = ("root", "a", "b")
"""Keys of ``data`` that say where the data are."""
OF_ANY_GROUP = ("none", "auto", "default")
"""Choices that say nothing of their group."""
ALIKE = 0.7
"""Share of characters from which on a key counts as another one, misspelt."""


def has_keys(node: Any) -> bool:
    """Says whether a node of a configuration is a mapping with a value."""
    from omegaconf import DictConfig

    return isinstance(node, DictConfig) and not (node._is_none() or node._is_missing() or node._is_interpolation())


def proposed_choice(override: Override, groups: Sequence[str], known: Sequence[str]) -> str | None:
    """Says which group has a choice of that name, if the key is like no other: ``augment=ada``, ``freeze.layers=4``."""
    key, value = str(override.key_or_group), override.value()
    first, _, rest = key.partition(".")
    name = first if rest else value
    found = [group for group in groups if isinstance(name, str) and name in choices(group)]
    near = get_close_matches(first, [each for each in known if "." not in each], 1, cutoff=ALIKE)
    if first in groups or not found or name in OF_ANY_GROUP or (near and near[0] not in found):
        return None
    group = next(iter(get_close_matches(first, found, 1, cutoff=0)), found[0])
    return f"There is no key {key}: did you mean {group}={name}?"


def new_below(config: DictConfig, override: Override) -> str | None:
    """Returns the first name in a mapping on the command line that the configuration does not have there."""
    from omegaconf import OmegaConf

    value = override.value()
    node = OmegaConf.select(config, str(override.key_or_group), throw_on_missing=False)
    if not isinstance(value, dict) or not has_keys(node):
        return None
    return next((str(name) for name in value if str(name) not in map(str, node)), None)


def unknown_key(config: DictConfig, known: Sequence[str], key: str, text: str) -> str:
    """Says that there is no such key, and which is near."""
    from omegaconf import OmegaConf

    parent, _, name = key.rpartition(".")
    if parent == "trainer" and (why := REFUSED.get(name)):
        return f"{key} is not supported: {why}."
    if parent == "data" and name in FOLDERS and not any(f"data.{each}" in known for each in FOLDERS):
        return f"data={config.data.get('name')} is read from no folder: leave {key} out, or give {_own(config, known)}."
    if parent in known and name in (_arguments(config, parent) or ()):
        return f"{key} is not set by default: write +{text} to set it."
    is_empty = "." in parent and parent in known and not any(each.startswith(f"{parent}.") for each in known)
    is_empty = is_empty and has_keys(OmegaConf.select(config, parent, throw_on_missing=False))
    if not is_empty and (near := _nearest(key, known)):
        return f"There is no key {key}: did you mean {near}?"
    while parent and parent not in known:
        parent = parent.rpartition(".")[0]
    siblings = [each.rpartition(".")[2] for each in known if each.rpartition(".")[0] == parent]
    if parent and not siblings:
        return f"{parent} holds nothing by default: write +{text} if {name} belongs there."
    if parent:
        more = f" and {len(siblings) - NAMED} more" if len(siblings) > NAMED else ""
        return f"There is no key {key}: {parent} has {', '.join(siblings[:NAMED])}{more}."
    return f"There is no key {key}: --help lists all keys."


def _own(config: DictConfig, known: Sequence[str]) -> str:
    """Returns the choice of data for the user's own files of the kind that is configured."""
    if "data.domains" in known:
        return "data=paired" if config.data.get("paired") else "data=unpaired"
    return "data=frames" if "data.length" in known else "data=folder"


def _nearest(key: str, known: Sequence[str]) -> str | None:
    """Returns the key that is nearest as a whole; else one by the nearest name beside it, or by its own last name."""
    known = [each for each in known if each.startswith("hydra") == key.startswith("hydra")]
    if whole := get_close_matches(key, known, 1, cutoff=0.8):
        return whole[0]
    parent, _, name = key.rpartition(".")
    siblings = [each for each in known if each.rpartition(".")[0] == parent]
    if beside := get_close_matches(name, [each.rpartition(".")[2] for each in siblings], 1, cutoff=0.7):
        return f"{parent}.{beside[0]}" if parent else beside[0]
    named = nearest(name, [each.rpartition(".")[2] for each in known])
    alike = [each for each in known if each.rpartition(".")[2] == named]
    return next(iter(get_close_matches(key, alike, 1, cutoff=0)), None)


def _arguments(config: DictConfig, key: str) -> frozenset[str] | None:
    """Returns the arguments that the class of a node takes; None if they are not known."""
    from omegaconf import OmegaConf

    from gan_lab.common.instantiate import resolve_target

    target = OmegaConf.select(config, f"{key}._target_", throw_on_missing=False) if key else None
    return accepted_arguments(resolve_target(target)) if isinstance(target, str) else None
