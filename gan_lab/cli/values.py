"""Values checked by annotations: numbers in ranges, choices, paths, lists; and the keys that take paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from gan_lab.common.arguments import alternatives, bounded, only, shown
from gan_lab.common.bounds import range_words
from gan_lab.common.errors import UserError


def convert(name: str, value: object, annotation: object) -> Any:
    """Returns the value as the annotation asks: 1e3 as an int, a text as a ``Path``, a list as a tuple.

    The keys of a mapping that a dataclass annotates are checked by its fields.

    Raises:
        UserError: if the annotation does not allow the value.
    """
    if isinstance(annotation, type) and is_dataclass(annotation) and isinstance(value, Mapping):
        hints = get_type_hints(annotation, include_extras=True)
        if unknown := [key for key in value if key not in hints]:
            raise UserError(f"There is no key {name}.{unknown[0]}: {name} has {', '.join(hints)}.")
        return {key: convert(f"{name}.{key}", each, hints[key]) for key, each in value.items()}
    if get_origin(annotation) is Annotated:
        for mark in get_args(annotation)[1:]:
            _check_marked(name, value, mark)
    try:
        return _as(value, annotation)
    except (TypeError, ValueError):
        pass
    raise UserError(f"{name}={shown(value)} is not valid: give {' or '.join(dict.fromkeys(words(annotation)))}.")


def _check_marked(name: str, value: object, mark: object) -> None:
    """Checks the keys that a dataclass among an annotation's marks names; there may be others."""
    if isinstance(mark, type) and is_dataclass(mark) and isinstance(value, Mapping):
        for key, hint in get_type_hints(mark, include_extras=True).items():
            if is_dataclass(hint):
                _check_marked(f"{name}.{key}", value.get(key), hint)
            elif key in value:
                convert(f"{name}.{key}", value[key], hint)


def _as(value: object, kind: object) -> Any:
    """Returns the value as that kind; raises TypeError or ValueError if it is none."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _first(value, arguments)
    if origin is Annotated:
        only(value, value != "" or Path not in arguments)  # an empty path is the current folder
        return bounded(_as(value, arguments[0]), arguments[1:])
    if origin is Literal:
        return only(value, any(value == each and type(value) is type(each) for each in arguments))
    if origin is tuple:
        return _tuple(value, arguments)
    if kind is Any or is_dataclass(kind) or origin in (dict, Mapping):
        return only(value, kind is Any or isinstance(value, Mapping))
    if kind is Path:
        text = isinstance(value, str | Path | int | float) and not isinstance(value, bool)
        return Path(str(only(value, text and value != ""))).expanduser()
    if kind is int or kind is float:
        return _number(value, kind)
    if kind is str and type(value) in (int, float):  # a name of digits
        return str(value)
    return only(value, value is None if kind in (None, NoneType) else type(value) is kind)


def _number(value: object, kind: type[int] | type[float]) -> int | float:
    if not isinstance(value, int | float) or isinstance(value, bool) or (kind is int and not float(value).is_integer()):
        raise TypeError
    return kind(value)


def _first(value: object, kinds: Sequence[object]) -> Any:
    for kind in kinds:
        try:
            return _as(value, kind)
        except (TypeError, ValueError):
            continue
    raise TypeError


def _tuple(value: object, kinds: Sequence[object]) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError
    each = [kinds[0]] * len(value) if kinds[1:] == (...,) else kinds
    if len(each) != len(value):
        raise ValueError
    return tuple(_as(item, kind) for item, kind in zip(value, each, strict=True))


def words(annotation: object) -> Iterator[str]:
    """Yields the valid values of an annotation in words, one for each alternative."""
    names = {int: "an integer", float: "a number", bool: "true or false", Path: "a path", str: "a name", Any: "a value"}
    for kind in alternatives(annotation):
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            yield from (f"{word}{range_words(arguments[1:])}" for word in words(arguments[0]))
        elif origin is Literal:
            named = [shown(each) for each in arguments]
            yield ", ".join(named[:-1]) + (" or " if named[1:] else "") + named[-1]
        elif origin is tuple:
            yield "[height,width]" if len(arguments) == 2 and arguments[1] is not ... else "a list such as [a,b]"
        elif kind in (None, NoneType):
            yield "null"
        else:
            yield names.get(kind, "keys and values")


def path_keys(request: type, prefix: str = "") -> Iterator[str]:
    """Yields the dotted keys of a request that take paths; ``*`` stands for any one part.

    A field that is a mapping to a dataclass, or a dataclass itself, gives the keys below it.
    """
    for name, annotation in get_type_hints(request, include_extras=True).items():
        yield from _path_keys(annotation, f"{prefix}{name}")


def _path_keys(annotation: object, key: str) -> Iterator[str]:
    for kind in alternatives(annotation):
        if kind is Path:
            yield key
        elif get_origin(kind) is Annotated:
            for each in get_args(kind):
                yield from _path_keys(each, key)
        elif isinstance(kind, type) and is_dataclass(kind):
            yield from path_keys(kind, f"{key}.")
        elif get_origin(kind) in (dict, Mapping):
            yield from _path_keys(get_args(kind)[1], f"{key}.*")
