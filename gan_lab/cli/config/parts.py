"""Checks of a model's parts, each against its own class: its arguments, and the data that it accepts."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from gan_lab.common.constraints import ChecksData
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import resolve_target
from gan_lab.common.upgrade import renamed_arguments

WORDS = ("_target_", "_partial_", "_args_")
KINDS = inspect.Parameter


def check_parts(method: str, model: Mapping[str, Any], data: Mapping[str, Any], needs: Mapping[str, str]) -> None:
    """Checks every part of a model: it has the arguments that are given, and can use the data.

    Args:
        method: the model's name, for messages.
        model: its configuration, resolved.
        data: the data's configuration, resolved.
        needs: what an argument needs that only some parts have, by its name: the rest of a sentence.

    Raises:
        UserError: in one sentence, naming the key that would work.
    """
    for key, node in parts(model, "model"):
        target = resolve_target(str(node["_target_"]))
        renamed = renamed_arguments(str(node["_target_"]))
        arguments = {renamed.get(name, name): value for name, value in node.items() if name not in WORDS}
        known = accepted_arguments(target)
        unknown = [] if known is None else [name for name in arguments if name not in known]
        if known is not None and unknown:
            part = f"model={method}" if key == "model" else target.__name__
            advice = needs.get(unknown[0]) or f"{key} has {', '.join(sorted(known)) or 'none'}"
            raise UserError(f"{part} has no argument {unknown[0]}: {advice}.")
        if isinstance(target, ChecksData):
            target.check_data(data, **arguments)


def parts(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields every node with a target in nested containers, outer ones first, with its dotted key."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield key, node
        for name, value in node.items():
            yield from parts(value, f"{key}.{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from parts(value, f"{key}.{index}")


def accepted_arguments(target: Any) -> set[str] | None:
    """Returns the names of the arguments of a function or class, those that it hands on to its base classes too.

    Returns None if they are not known: with ``**kwargs`` that no base class names, or for what is written in C.
    """
    known: set[str] = set()
    for each in getattr(target, "__mro__", (target,)):
        if each is object:
            return None
        if each is not target and "__init__" not in vars(each):
            continue
        try:
            parameters = inspect.signature(each).parameters.values()
        except (TypeError, ValueError):
            return None
        known |= {one.name for one in parameters if one.kind in (KINDS.POSITIONAL_OR_KEYWORD, KINDS.KEYWORD_ONLY)}
        if not any(one.kind is KINDS.VAR_KEYWORD for one in parameters):
            return known
    return None
