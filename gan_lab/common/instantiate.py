"""Instantiates objects from configurations, by the dotted paths of their classes and functions.

A mapping with ``_target_`` is a call of that class or function with its other keys as arguments. ``_args_`` are
positional arguments, and ``_partial_: true`` gives a ``functools.partial`` in place of the call. These are the keys of
``hydra.utils.instantiate``. Here a ``gan_lab.common.trust.Trust`` says which objects may be called, so that
configurations in checkpoints can be instantiated safely.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import partial, reduce
from types import ModuleType
from typing import Any

from gan_lab.common.arguments import convert_arguments
from gan_lab.common.deprecation import warn_renamed
from gan_lab.common.errors import UserError
from gan_lab.common.old_arguments import present_arguments
from gan_lab.common.trust import Trust, inside
from gan_lab.common.upgrade import renamed

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
    call = partial(target, *positional, **convert_arguments(target, values))
    if node.get("_partial_"):
        return call
    try:
        return call()
    except ValueError as error:
        raise UserError(str(error)) from error
    except TypeError as error:
        raise UserError(f"{path} does not take these arguments: {error}.") from error
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError) as error:
        if not inside(path, ("gan_lab", "torch", "torchvision")):
            raise  # the author of a class needs the traceback
        raise UserError(f"{path} does not work with these values: {error}.") from error


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
