"""Brings what an earlier version wrote to the present format, by the tables of ``gan_lab.common.renames``.

A checkpoint carries a ``format`` number. ``upgrade`` brings the plain containers of an older one to the present format
before anything in it is trusted or built. All functions here are pure.
"""

from collections.abc import Mapping
from typing import Any

from gan_lab.common.renames import ARGUMENTS, EXTRA_STATE, MODULES, NAMES, SCHEDULED


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


def upgrade(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's plain containers in the present format; those of the present one are returned as they are."""
    found = dict(checkpoint)
    if found["gan_lab"].get("format", 1) < 2:
        found["gan_lab"] = {**found["gan_lab"], "format": 2}
        found["gan_lab"] |= {key: _parts(found["gan_lab"][key]) for key in ("model", "data") if key in found["gan_lab"]}
        found["gan_lab"]["model"] = _model(found["gan_lab"]["model"])
        states = found.pop("memories", {})
        found["extra_state"] = {EXTRA_STATE.get(name, name): state for name, state in states.items()}
    return found


def _parts(node: Any) -> Any:
    """Nested containers, every ``_target_`` and its arguments under their present names."""
    if isinstance(node, list):
        return [_parts(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    target = renamed(str(node.get("_target_", "")))
    names = renamed_arguments(target)
    found = {names.get(key, key) if target else key: _parts(value) for key, value in node.items()}
    return found | ({"_target_": target} if target else {})


def _model(node: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own arguments, of a user's class too, and what its schedules name."""
    found = {ARGUMENTS["models"].get(key, key): value for key, value in node.items()}
    if isinstance(found.get("schedules"), Mapping):
        found["schedules"] = {_scheduled(name): value for name, value in found["schedules"].items()}
    return found


def _scheduled(name: str) -> str:
    old = next((old for old in SCHEDULED if name == old or name.startswith(f"{old}.")), "")
    return SCHEDULED[old] + name.removeprefix(old) if old else name
