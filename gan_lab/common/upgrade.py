"""Brings what an earlier version wrote to the present format, by the tables of ``gan_lab.common.renames``.

A checkpoint carries a ``format`` number. ``upgrade`` brings the plain containers of an older one to the present format
before anything in it is trusted or built. All functions here are pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from gan_lab.common.renames import (
    ADDED,
    ARGUMENTS,
    ENGINE_DEFAULTS,
    EXTRA_STATE,
    GROUPS,
    KEYS,
    MODULES,
    NAMES,
    SCHEDULED,
    WEIGHTS,
)

FOLDER = "gan_lab.data.presets.folder"


def renamed(path: str) -> str:
    """The present dotted path of a class or function that an earlier version named, or the path itself."""
    package, _, rest = path.partition(".")
    if package != "gan_lab":
        return path
    if rest in NAMES:
        return f"gan_lab.{NAMES[rest]}"
    module, _, name = rest.rpartition(".")
    return f"gan_lab.{MODULES[module]}.{name}" if module in MODULES else path


def renamed_arguments(path: str) -> dict[str, str]:
    """The arguments of earlier versions → their present names, of a class or function by its present dotted path."""
    return next((table for module, table in ARGUMENTS.items() if f"{path}.".startswith(f"gan_lab.{module}.")), {})


def renamed_key(key: str) -> str:
    """The present dotted key of a configuration's key, whose beginning ``KEYS`` may have under its old name."""
    return ".".join(_renamed_path(key.split(".")))


def _renamed_path(path: Sequence[str]) -> list[str]:
    for old, new in sorted(KEYS.items(), key=lambda pair: -pair[0].count(".")):
        pattern = old.split(".")
        beginning = path[: len(pattern)]
        if len(beginning) == len(pattern) and all(map(fnmatchcase, beginning, pattern)):
            matched = iter([part for part, want in zip(beginning, pattern, strict=True) if want == "*"])
            present = [next(matched) if part == "*" else part for part in new.split(".")]
            return [*present, *path[len(pattern) :]]
    return [*path]


def upgrade(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a checkpoint's plain containers in the present format; the input stays as it is."""
    upgraded = dict(checkpoint)
    if checkpoint["gan_lab"].get("format", 1) < 2:
        configuration = {key: _rename_parts(value) for key, value in checkpoint["gan_lab"].items()}
        upgraded["gan_lab"] = {**configuration, "format": 2}
        weights = {_with_beginning(name, WEIGHTS): value for name, value in checkpoint.get("state_dict", {}).items()}
        if "state_dict" in checkpoint:
            upgraded["state_dict"] = weights
        if "model" in configuration:
            averaged = any(name.startswith("ema.") for name in weights)
            upgraded["gan_lab"]["model"] = _group_arguments(_rename_model(configuration["model"]), averaged)
        states = upgraded.pop("memories", {})
        upgraded["extra_state"] = {EXTRA_STATE.get(name, name): state for name, state in states.items()}
    upgraded["gan_lab"] = _with_class_order(upgraded["gan_lab"])
    return upgraded


def upgrade_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the resolved configuration of a run with the present names; the input stays as it is.

    A key that moved to a part, such as ``network.base`` to ``model.generator.base``, is left out: in a resolved
    configuration the part already has its value.
    """
    present = _with_class_order(_rename_parts(config))
    if isinstance(present.get("model"), Mapping):
        present["model"] = _group_arguments(_rename_model(present["model"]))
    upgraded: dict[str, Any] = {}
    for path, value in leaves(present):
        node = upgraded
        *parents, last = renamed_path = _renamed_path(path)
        if renamed_path[0] != path[0] and renamed_path[0] in config:
            continue
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return upgraded


def _with_class_order(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the order that class folders had before it could be chosen: that of characters."""
    data = configuration.get("data")
    if not isinstance(data, Mapping) or data.get("_target_") != FOLDER or "class_order" in data:
        return dict(configuration)
    return {**configuration, "data": {**data, "class_order": "text"}}


def leaves(node: Mapping[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields the values of nested mappings with the keys that lead to them; an empty mapping is a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, *path, key)
        else:
            yield (*path, key), value


def _rename_parts(node: Any) -> Any:
    """Nested containers with the present names of every ``_target_`` and its arguments, and those that it has got."""
    if isinstance(node, list):
        return [_rename_parts(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    if "_target_" not in node:
        return {key: _rename_parts(value) for key, value in node.items()}
    target = renamed(str(node["_target_"]))
    names = renamed_arguments(target)
    arguments = {names.get(key, key): _rename_parts(value) for key, value in node.items() if key != "_target_"}
    return {"_target_": target, **ADDED.get(target, {}), **arguments}


def _rename_model(node: Mapping[str, Any]) -> dict[str, Any]:
    """The model's configuration with its present arguments, of a user's class too, and its schedules' present names."""
    renamed_node = {ARGUMENTS["models"].get(key, key): value for key, value in node.items()}
    if isinstance(renamed_node.get("schedules"), Mapping):
        schedules = renamed_node["schedules"].items()
        renamed_node["schedules"] = {_with_beginning(name, SCHEDULED): value for name, value in schedules}
    return renamed_node


def _group_arguments(node: Mapping[str, Any], averaged: bool = True) -> dict[str, Any]:
    """Returns the model's configuration with the arguments that are now those of one object in a node of their own.

    Args:
        node: configuration of the model.
        averaged: false if no network is averaged, which a method chose by itself where no key said so.
    """
    grouped = dict(node)
    for group, (target, names) in GROUPS.items():
        arguments = {new: grouped.pop(old) for old, new in names.items() if old in grouped}
        if arguments and group == "engine":
            arguments = {**ENGINE_DEFAULTS, **({} if averaged else {"ema_half_life": None}), **arguments}
        if arguments:
            grouped[group] = {"_target_": target, **ADDED.get(target, {}), **arguments}
    return grouped


def _with_beginning(name: str, table: Mapping[str, str]) -> str:
    """Returns a dotted name with its beginning replaced by the table."""
    old = next((old for old in table if name == old or name.startswith(f"{old}.")), "")
    return table[old] + name.removeprefix(old) if old else name
