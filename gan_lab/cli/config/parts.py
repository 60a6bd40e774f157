"""Checks of configured parts, each against its own class: its arguments, their types, and the data that it accepts."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from gan_lab.common.arguments import accepted_arguments, convert_arguments, shown
from gan_lab.common.constraints import ChecksData
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import resolve_target
from gan_lab.common.near_names import nearest
from gan_lab.common.upgrade import renamed_arguments

WORDS = ("_target_", "_partial_", "_args_")


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
        check_names(key, node, f"model={method}" if key == "model" else "", needs)
        try:
            check_types(key, node)
        except UserError:
            with suppress(ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                _check_data(node, data)  # says more, if it understands the value
            raise
        _check_data(node, data)


def _check_data(node: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    target = resolve_target(str(node["_target_"]))
    if isinstance(target, ChecksData):
        target.check_data(data, **arguments_of(node))


def check_all(node: Any, key: str) -> None:
    """Checks the names and types of the arguments of every part in nested containers under a dotted key.

    Raises:
        UserError: in one sentence, naming the key.
    """
    for each, part in parts(node, key):
        check_names(each, part)
        check_types(each, part)


def check_names(key: str, node: Mapping[str, Any], name: str = "", needs: Mapping[str, str] | None = None) -> None:
    """Checks that a part has the arguments that are given.

    Args:
        key: the part's dotted key.
        node: its configuration, resolved.
        name: of the part, for messages; by default that of its class.
        needs: see ``check_parts``.

    Raises:
        UserError: in one sentence, naming the key.
    """
    target = resolve_target(str(node["_target_"]))
    known = accepted_arguments(target)
    unknown = [] if known is None else [each for each in arguments_of(node) if each not in known]
    if known is not None and unknown:
        named = name or getattr(target, "__name__", str(target))
        near = nearest(unknown[0], known)
        listed = f"did you mean {near}?" if near else f"{key} has {', '.join(sorted(known)) or 'none'}."
        need = (needs or {}).get(unknown[0])
        raise UserError(f"{named} has no argument {unknown[0]}: {f'{need}.' if need else listed}")


def check_types(key: str, node: Mapping[str, Any]) -> None:
    """Checks that each argument of a part is of the type that it is annotated with.

    Raises:
        UserError: in one sentence, naming the key.
    """
    convert_arguments(resolve_target(str(node["_target_"])), arguments_of(node), key)


def check_class(key: str, node: Any, base: type) -> None:
    """Checks that a node names a class derived from ``base``, or a function.

    Raises:
        UserError: if it does not, or is no node.
    """
    if node is None or (isinstance(node, Mapping) and "_target_" not in node):
        return  # left out
    if not isinstance(node, Mapping):
        raise UserError(f"{key}={shown(node)} is not valid: give null, or keys and values with _target_.")
    target = resolve_target(str(node["_target_"]))
    if isinstance(target, type) and not issubclass(target, base):
        raise UserError(f"{key}._target_={node['_target_']} is no {base.__name__}: give a class derived from it.")


def arguments_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a part's configuration, under their present names."""
    renamed = renamed_arguments(str(node["_target_"]))
    return {renamed.get(name, name): value for name, value in node.items() if name not in WORDS}


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
