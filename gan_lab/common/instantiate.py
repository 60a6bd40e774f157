"""Objects from configurations: the dotted path is the registry. The same few rules for a new run and a checkpoint.

A mapping with ``_target_`` is a call of that class or function with its other keys as arguments; ``_args_`` are
positional ones, and ``_partial_: true`` leaves the call to whoever gets the object. These are Hydra's own words
(``hydra.utils.instantiate``); here what is checked against the trusted packages is the very object that is called.
"""

import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from types import FunctionType, ModuleType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from torch import Tensor

from gan_lab.common.deprecation import present_arguments, warn_renamed
from gan_lab.common.errors import UserError
from gan_lab.common.upgrade import renamed

PLAIN = {bool: "true or false", int: "a whole number", float: "a number", NoneType: "null"}

TRUSTED = (
    "gan_lab.training.augment",
    "gan_lab.training.budget",
    "gan_lab.models.bases.gan",
    "gan_lab.models.bases.latents",
    "gan_lab.training.image_pool",
    "gan_lab.training.schedules",
    "gan_lab.data.modules.points",
    "gan_lab.data.presets",
    "gan_lab.losses",
    "gan_lab.evaluation.features.perceptual",
    "gan_lab.models",
    "gan_lab.networks",
    "torch.nn",
    "torch.optim",
    "torchvision.ops",
    "torchvision.transforms",
)
"""What a checkpoint's configuration may name: parts of models, nothing that fetches or runs what it is told."""


def instantiate(node: Any, trust: Sequence[str] | None = None) -> Any:
    """The object that nested plain containers describe.

    Args:
        node: mappings, lists and scalars.
        trust: packages that targets may come from; None trusts all (a configuration that the user composed).

    Raises:
        UserError: for a target that does not exist, that lies outside the trusted packages, or that refuses its
            arguments; the sentence names it.
    """
    if isinstance(node, Mapping):
        values = {key: instantiate(value, trust) for key, value in node.items() if not _is_word(key)}
        return _call(node, values, trust) if "_target_" in node else values
    if isinstance(node, list | tuple):
        return [instantiate(value, trust) for value in node]
    return node


def _is_word(key: Any) -> bool:
    return key in ("_target_", "_partial_", "_args_")


def _call(node: Mapping[str, Any], values: dict[str, Any], trust: Sequence[str] | None) -> Any:
    path = str(node["_target_"])
    target = resolve_target(path, trust)
    path = renamed(path)
    values = present_arguments(path, values)
    made = partial(target, *instantiate(node.get("_args_", []), trust), **_fitted(path, target, values))
    if node.get("_partial_"):
        return made
    try:
        return made()
    except ValueError as error:
        raise UserError(str(error)) from error
    except TypeError as error:
        raise UserError(f"{path} does not take these arguments: {error}.") from error
    except (ArithmeticError, AssertionError, LookupError, RuntimeError) as error:
        if not _inside(path, ("gan_lab", "torch", "torchvision")):
            raise  # of who writes parts: where it went wrong matters
        raise UserError(f"{path} cannot be made of these values: {error}.") from error


def _fitted(path: str, target: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, whole numbers as such where they were written like 1e6.

    Raises:
        UserError: where an argument of ours, or of an optimizer, is annotated as a number, a truth value or a mapping
            and the value is none.
    """
    if not _inside(path, ("gan_lab", "torch.optim")):  # annotations of others do not always hold
        return dict(values)
    stated = _annotations(target)
    found = dict(values)
    for name, value in values.items():
        kinds = _kinds(stated.get(name))
        maps = {get_origin(kind) or kind for kind in kinds} <= {Mapping, dict, NoneType}
        if maps and isinstance(value, bool | int | float | str):
            raise UserError(f"{name}={value} does not serve: give null, or keys and values as {name} of {path}.")
        serve = [kind for kind in PLAIN if kind in kinds]
        if not serve or not {*kinds} <= {*PLAIN, Tensor} or isinstance(value, Tensor):
            continue
        if not any(_is_a(kind, value) for kind in serve):
            words = " or ".join(PLAIN[kind] for kind in serve)
            raise UserError(f"{name}={value} does not serve: give {words} as {name} of {path}.")
        if type(value) is float and float not in serve:
            found[name] = int(value)
    return found


def _annotations(target: Any) -> dict[str, Any]:
    """Of a function's arguments by name, or of a class's, which may hand on what it does not name itself."""
    stated: dict[str, Any] = {}
    for each in getattr(target, "__mro__", (target,)):
        try:
            parameters = inspect.signature(each).parameters
        except (TypeError, ValueError):  # written in C
            continue
        stated = {name: parameter.annotation for name, parameter in parameters.items()} | stated
    return stated


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """What a union is of, or the annotation alone."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_a(kind: type, value: Any) -> bool:
    """Of numbers as people write them: 1e6 is a whole one, and 1 is a number, but true is none."""
    if kind is int or kind is float:
        return type(value) is int or (type(value) is float and (kind is float or value.is_integer()))
    return isinstance(value, kind)


def resolve_target(path: str, trust: Sequence[str] | None = None) -> Any:
    """The class or function at a dotted path.

    Among trusted packages it must be a class or plain function, public, of a module's own: no path leads through what a
    module imports, nor to methods, whose calls could be chained into anything.

    Raises:
        UserError: if there is none, or it is defined outside the trusted packages.
    """
    if (present := renamed(path)) != path:
        warn_renamed(path, present)
        path = present
    if trust is not None and not _inside(path, trust):
        raise _distrust(path)
    found = _find(path)
    if trust is not None and not _is_own(found, path, trust):
        raise _distrust(path)
    return found


def _find(path: str) -> Any:
    parts = path.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module: Any = _module(".".join(parts[:split]), path)
        try:
            found = reduce(getattr, parts[split:], module)
        except AttributeError:
            continue
        if callable(found):
            return found
    raise UserError(f"There is no class or function {path}: check its spelling, and that its package is installed.")


def _module(name: str, path: str) -> ModuleType | None:
    """None where there is none of that name; what goes wrong inside one is not hidden."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and _inside(name, [error.name]):
            return None
        raise UserError(f"{path} cannot be used before a package that it imports is installed: {error}.") from error


def _is_own(found: Any, path: str, trust: Sequence[str]) -> bool:
    module, _, name = path.rpartition(".")
    of_a_module = getattr(sys.modules.get(module), name, None) is found and not name.startswith("_")
    plain = isinstance(found, type | FunctionType) and found.__qualname__ == name
    return of_a_module and plain and _inside(found.__module__, trust)


def _inside(path: str, packages: Sequence[str]) -> bool:
    return any(path == package or path.startswith(package + ".") for package in packages)


def _distrust(path: str) -> UserError:
    package = path.split(".")[0]
    return UserError(
        f"The checkpoint names {path}, outside the trusted packages: if you trust it, add trust=[{package}]."
    )
