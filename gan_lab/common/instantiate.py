"""Instantiates objects from configurations, by the dotted paths of their classes and functions.

A mapping with ``_target_`` is a call of that class or function with its other keys as arguments. ``_args_`` are
positional arguments, and ``_partial_: true`` gives a ``functools.partial`` in place of the call. These are the keys of
``hydra.utils.instantiate``. Here a ``gan_lab.common.trust.Trust`` says which objects may be called, so that
configurations in checkpoints can be instantiated safely.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from types import ModuleType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from torch import Tensor

from gan_lab.common.deprecation import warn_renamed
from gan_lab.common.errors import UserError
from gan_lab.common.old_arguments import present_arguments
from gan_lab.common.trust import Trust, inside
from gan_lab.common.upgrade import renamed

PLAIN = {bool: "true or false", int: "an integer", float: "a number", NoneType: "null"}
"""Types of plain values, and their names in messages."""

_KEYWORDS = ("_target_", "_partial_", "_args_")


def instantiate(node: object, trust: Trust | None = None) -> Any:
    """Instantiates the objects in nested plain containers.

    Args:
        node: mappings, lists and scalars.
        trust: what targets may be; None trusts all, for a configuration that the user composed.

    Returns:
        the container with objects in place of mappings with ``_target_``.

    Raises:
        UserError: for a target that does not exist, is not trusted, or rejects its arguments; the message names it.
    """
    if isinstance(node, Mapping):
        values = {key: instantiate(value, trust) for key, value in node.items() if key not in _KEYWORDS}
        return _call(node, values, trust) if "_target_" in node else values
    if isinstance(node, list | tuple):
        return [instantiate(value, trust) for value in node]
    return node


def _call(node: Mapping[str, object], values: dict[str, object], trust: Trust | None) -> Any:
    path = str(node["_target_"])
    target = resolve_target(path, trust)
    path = renamed(path)
    values = present_arguments(path, target, values)
    positional = instantiate(node.get("_args_", []), trust)
    if trust is not None and path in trust.deferred:
        if not node.get("_partial_") or positional:
            raise trust.distrust(path)
        values = {name: value for name, value in values.items() if name in trust.deferred[path]}
    call = partial(target, *positional, **_convert_arguments(path, target, values))
    if node.get("_partial_"):
        return call
    try:
        return call()
    except ValueError as error:
        raise UserError(str(error)) from error
    except TypeError as error:
        raise UserError(f"{path} does not take these arguments: {error}.") from error
    except (ArithmeticError, AssertionError, LookupError, RuntimeError) as error:
        if not inside(path, ("gan_lab", "torch", "torchvision")):
            raise  # the author of a class needs the traceback
        raise UserError(f"{path} does not work with these values: {error}.") from error


def _convert_arguments(path: str, target: Callable[..., Any], values: Mapping[str, object]) -> dict[str, object]:
    """Checks arguments by their annotations, and converts floats such as 1e6 to integers if only those are accepted.

    Only arguments of this package and of optimizers are checked: annotations of other packages may be wrong.

    Raises:
        UserError: if an argument is annotated as a number, a truth value or a mapping, and the value is none.
    """
    if not inside(path, ("gan_lab", "torch.optim")):
        return dict(values)
    annotations = _annotations(target)
    return {name: _convert(name, value, path, _members(annotations.get(name))) for name, value in values.items()}


def _convert(name: str, value: object, path: str, types: Sequence[object]) -> object:
    """Checks and converts one argument; ``types`` are the members of its annotation."""
    only_mappings = {get_origin(each) or each for each in types} <= {Mapping, dict, NoneType}
    if only_mappings and isinstance(value, bool | int | float | str):
        raise UserError(f"{name}={value} is not valid: give null, or keys and values as {name} of {path}.")
    plain = [each for each in PLAIN if each in types]
    if not plain or not {*types} <= {*PLAIN, Tensor} or isinstance(value, Tensor):
        return value
    if not any(_matches(value, each) for each in plain):
        words = " or ".join(PLAIN[each] for each in plain)
        raise UserError(f"{name}={value} is not valid: give {words} as {name} of {path}.")
    return int(value) if type(value) is float and float not in plain else value


def _annotations(target: Callable[..., Any]) -> dict[str, object]:
    """Returns the annotations of a function's or class's arguments by name.

    A class has those of its base classes too, because it may pass arguments on to them.
    """
    annotations: dict[str, object] = {}
    for each in getattr(target, "__mro__", (target,)):
        try:
            parameters = inspect.signature(each).parameters
        except (TypeError, ValueError):  # written in C
            continue
        annotations = {name: parameter.annotation for name, parameter in parameters.items()} | annotations
    return annotations


def _members(annotation: object) -> tuple[object, ...]:
    """Returns the members of a union, or the annotation alone."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _matches(value: object, kind: type) -> bool:
    """Says whether a value is of a type as people write it: 1e6 is an integer, 1 is a number, true is neither."""
    if kind is int or kind is float:
        return type(value) is int or (type(value) is float and (kind is float or value.is_integer()))
    return isinstance(value, kind)


def resolve_target(path: str, trust: Trust | None = None) -> Callable[..., Any]:
    """Returns the class or function at a dotted path.

    Args:
        path: such as ``torch.nn.Linear``.
        trust: what it may be; None trusts all.

    Raises:
        UserError: if there is no such class or function, or it is not trusted.
    """
    if (present := renamed(path)) != path:
        warn_renamed(path, present)
        path = present
    if trust is not None:
        trust.check(path)
    target = _find(path)
    if trust is not None:
        trust.check_target(path, target)
    return target


def _find(path: str) -> Callable[..., Any]:
    parts = path.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module = _import(".".join(parts[:split]), path)
        try:
            target: object = reduce(getattr, parts[split:], module)
        except AttributeError:
            continue
        if callable(target):
            return target
    raise UserError(
        f"There is no class or function {path}: check its spelling, and that its module is "
        "installed or in the current folder."
    )


def _import(name: str, path: str) -> ModuleType | None:
    """Returns the module with a name, or None if there is none; errors inside the module are not hidden."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and inside(name, [error.name]):
            return None
        raise UserError(f"{path} cannot be used before a package that it imports is installed: {error}.") from error
