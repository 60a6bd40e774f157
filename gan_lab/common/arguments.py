"""Arguments of configured calls, checked and converted by the annotations of the class or function that is called.

Only arguments of this package, of optimizers and of Lightning's Trainer are checked: the annotations of other packages
may be wrong.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, Unpack, get_args, get_origin, get_type_hints

from gan_lab.common.bounds import Bounds, Decay, NonNegative, PositiveInt, range_words
from gan_lab.common.errors import UserError
from gan_lab.common.trust import inside

CHECKED = ("gan_lab", "torch.optim", "lightning.pytorch.trainer")
"""Packages with annotations that hold."""
RANGES: Mapping[str, Mapping[str, Any]] = {
    "torch.optim": {
        **dict.fromkeys(("lr", "eps", "weight_decay", "momentum", "alpha", "lambd", "lr_decay"), NonNegative),
        "betas": tuple[Decay, Decay],
    },
    "lightning.pytorch.trainer": {"num_nodes": PositiveInt, "reload_dataloaders_every_n_epochs": NonNegative},
}
"""Annotations of other packages' arguments with the ranges that those state in their documentation alone."""
NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a name", Path: "a path", NoneType: "null"}
"""Types of plain values, and their names in messages."""
PLURALS = {int: "integers", float: "numbers", str: "names"}
KINDS = inspect.Parameter


def convert_arguments(target: Callable[..., Any], values: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """Checks arguments by their annotations, and converts floats such as 1e6 to integers if only those are accepted.

    Args:
        target: the class or function that is called.
        values: arguments by name; objects, and mappings with ``_target_`` that describe objects, pass.
        key: the dotted key that the arguments stand under, for messages; otherwise they name the target.

    Raises:
        UserError: if an argument has a value of another type than annotated.
    """
    annotations = annotations_of(target)
    found = {}
    for name, value in values.items():
        try:
            found[name] = _convert(value, annotations.get(name, Any))
        except (TypeError, ValueError):
            at = f"{key}.{name}" if key else name
            of = "" if key else f" as {name} of {target.__module__}.{target.__qualname__}"
            allowed = " or ".join(dict.fromkeys(_words(annotations[name])))
            raise UserError(f"{at}={shown(value)} is not valid: give {allowed}{of}.") from None
    return found


def shown(value: object) -> str:
    """A value as the command line writes it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{shown(each)}' for key, each in value.items())}}}"
    return f"[{','.join(map(shown, value))}]" if isinstance(value, list | tuple) else str(value)


@lru_cache(512)
def annotations_of(target: Callable[..., Any]) -> Mapping[str, Any]:
    """Returns the annotations of a function's or class's arguments by name; ``Any`` for those that are not checked.

    A class has those of its base classes too, because it may pass arguments on to them.
    """
    annotations: dict[str, Any] = {}
    for each in getattr(target, "__mro__", (target,)):
        found = {name: kind for parameter in _parameters(each) for name, kind in _named(parameter)}
        module = getattr(each, "__module__", None) or ""
        found = found if inside(module, CHECKED) else dict.fromkeys(found, Any)
        for package, ranges in RANGES.items():
            found |= {name: ranges[name] for name in found.keys() & ranges if inside(module, [package])}
        annotations = found | annotations
    return annotations


@lru_cache(512)
def accepted_arguments(target: Callable[..., Any]) -> frozenset[str] | None:
    """Returns the names of the arguments of a function or class, those that it hands on to its base classes too.

    Returns None if they are not known: with ``**kwargs`` that no base class names, or for what is written in C.
    """
    known: set[str] = set()
    for each in getattr(target, "__mro__", (target,)):
        if each is object:
            return None
        if each is not target and "__init__" not in vars(each):
            continue
        parameters = _parameters(each)
        if parameters is NONE:
            return None
        known |= {name for parameter in parameters for name, _ in _named(parameter)}
        if not any(one.kind is KINDS.VAR_KEYWORD and get_origin(one.annotation) is not Unpack for one in parameters):
            return frozenset(known)
    return None


NONE: tuple[inspect.Parameter, ...] = ()
"""The parameters of what is written in C."""


def _parameters(target: Any) -> Sequence[inspect.Parameter]:
    try:
        return list(inspect.signature(target, eval_str=True).parameters.values())
    except NameError:  # imported for types alone
        return list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return NONE


def _named(parameter: inspect.Parameter) -> Iterator[tuple[str, Any]]:
    """Yields the arguments that a parameter stands for, with their annotations: those of a TypedDict one by one."""
    if parameter.kind is KINDS.VAR_KEYWORD and get_origin(parameter.annotation) is Unpack:
        for name, kind in get_type_hints(get_args(parameter.annotation)[0], include_extras=True).items():
            yield name, get_args(kind)[0] if get_origin(kind) in (Required, NotRequired) else kind
    elif parameter.kind in (KINDS.POSITIONAL_OR_KEYWORD, KINDS.KEYWORD_ONLY):
        yield parameter.name, parameter.annotation


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Returns the members of a union, or the annotation alone."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _convert(value: Any, annotation: Any) -> Any:
    """Returns the value as its annotation asks; raises TypeError or ValueError if it does not allow it."""
    if not isinstance(value, bool | int | float | str | list | tuple | Mapping | NoneType) or value == "???":
        return value
    if isinstance(value, Mapping) and "_target_" in value:
        return value
    kinds = alternatives(annotation)
    for kind in sorted(kinds, key=lambda kind: type(value) is not bare(kind)):  # 1 is an integer before it is a number
        try:
            return _as(value, kind)
        except (TypeError, ValueError):
            continue
    raise TypeError


def _as(value: Any, kind: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return bounded(_as(value, arguments[0]), arguments[1:])
    if kind in (bool, str, NoneType, None) or kind is Path:
        return _plain(value, kind)
    if kind is int or kind is float:
        return _number(value, kind)
    if origin is Literal:
        return only(value, any(value == each and type(value) is type(each) for each in arguments))
    if _is_list(kind):
        return _list(value, origin, arguments)
    if _is_mapping(kind):
        items = only(value, isinstance(value, Mapping)).items()
        return {name: _convert(each, arguments[1] if arguments[1:] else Any) for name, each in items}
    return only(value, isinstance(value, Mapping) or not _is_object(kind))


def _plain(value: Any, kind: Any) -> Any:
    if kind is str and type(value) in (int, float):  # a name of digits
        return str(value)
    return only(value, value is None if kind in (None, NoneType) else isinstance(value, str if kind is Path else kind))


def _number(value: Any, kind: type[int] | type[float]) -> Any:
    """Returns a number as people write it: 1e6 is an integer, 1 is a number, true is neither."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    only(value, whole or (kind is float and type(value) is float))
    return int(value) if kind is int else value


def _list(value: Any, origin: Any, kinds: Sequence[Any]) -> Any:
    only(value, isinstance(value, list | tuple))
    if origin is not tuple or kinds[1:] == (...,):
        return type(value)(_convert(each, kinds[0] if kinds else Any) for each in value)
    only(value, len(kinds) == len(value))
    return type(value)(_convert(each, kind) for each, kind in zip(value, kinds, strict=True))


def only(value: Any, valid: bool) -> Any:
    """Returns the value if it is valid.

    Raises:
        TypeError: if it is not.
    """
    if not valid:
        raise TypeError
    return value


def bounded(value: Any, marks: Sequence[object]) -> Any:
    """Returns the value if it is in the ranges among the marks of its annotation.

    Raises:
        ValueError: if it is not.
    """
    if any(isinstance(each, Bounds) and not each.contain(value) for each in marks):
        raise ValueError
    return value


def bare(kind: Any) -> Any:
    """Returns an annotation without its marks."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_list(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return origin in (list, tuple) or (isinstance(origin, type) and origin.__name__ in ("Sequence", "Iterable"))


def _is_mapping(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (dict, Mapping)


def _is_object(kind: Any) -> bool:
    """True for a class of objects, or a function's type: no plain value is one, and keys with ``_target_`` make it."""
    origin = get_origin(kind) or kind
    return origin is Callable or (
        isinstance(origin, type) and inside(origin.__module__, ("gan_lab", "torch", "lightning"))
    )


def _words(annotation: Any) -> Iterator[str]:
    """Yields the valid values of an annotation in words, one for each alternative."""
    for kind in alternatives(annotation):
        if get_origin(kind) is Annotated:
            yield from (f"{word}{range_words(get_args(kind)[1:])}" for word in _words(get_args(kind)[0]))
        elif get_origin(kind) is Literal:
            yield " or ".join(map(shown, get_args(kind)))
        elif _is_list(kind):
            item = (get_args(kind) or (Any,))[0]
            items = [each for each in alternatives(item) if bare(each) in PLURALS]
            plurals = [f"{PLURALS[bare(each)]}{range_words(get_args(each)[1:])}" for each in items]
            yield f"a list of {plurals[0]}" if plurals else "a list"
        elif not _is_object(kind) or kind in NAMES:
            yield NAMES.get(kind, "keys and values")
        elif "Tensor" not in str(kind):
            yield "keys and values with _target_"
