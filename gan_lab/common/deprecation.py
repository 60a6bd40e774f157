"""Methods, attributes and arguments of the last version work for one version, each with a ``RenamedWarning``.

The tables are in ``gan_lab.common.renames``; modules are in ``gan_lab.common.old_modules``.
"""

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from importlib import import_module
from operator import attrgetter
from types import FunctionType
from typing import Any, TypeVar

from gan_lab.common.renames import ATTRIBUTES, GROUPS, METHODS
from gan_lab.common.upgrade import renamed_arguments

T = TypeVar("T", bound=type)
PASSED_OVER = ("gan_lab", "importlib", "_frozen_importlib", "re")
"""Packages that a user's code uses an old name through."""
VARARGS = 0x04
"""``inspect.CO_VARARGS``; that module takes milliseconds to import."""


class RenamedWarning(DeprecationWarning):
    """A name of the last version was used; the message gives the present one."""


def warn_renamed(old: str, new: str) -> None:
    """Warns that ``old`` is now called ``new``; the warning names the line of the user's code that used it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in PASSED_OVER:
        frame = frame.f_back
    module, registry = frame.f_globals.get("__name__", ""), frame.f_globals.setdefault("__warningregistry__", {})
    place = (frame.f_code.co_filename, frame.f_lineno)
    warnings.warn_explicit(f"{old} is now {new}.", RenamedWarning, *place, module=module, registry=registry)


class OldName:
    """An attribute that reads another one by its name of the last version.

    Args:
        old: the name of the last version.
        new: the present name, dotted for an attribute of an attribute.
        value: what the class that this is put into defines under the present name, so that ``super().old()`` calls
            this very class; without it the object's attribute is taken.
    """

    def __init__(self, old: str, new: str, value: Any = None) -> None:
        self.old, self.new, self.value = old, new, value

    def __get__(self, instance: Any, owner: type) -> Any:
        networks = getattr(instance, "__dict__", {}).get("_modules", {})
        if self.old in networks:  # a network of the user's own with this name
            return networks[self.old]
        holder = owner if instance is None else instance
        found = self.value.__get__(instance, owner) if self.value is not None else attrgetter(self.new)(holder)
        warn_renamed(f"{owner.__name__}.{self.old}", self.new)
        return found


class OldAttribute(OldName):
    """An ``OldName`` that can be set as well."""

    def __set__(self, instance: Any, value: Any) -> None:
        warn_renamed(f"{type(instance).__name__}.{self.old}", self.new)
        setattr(instance, self.new, value)


def accept_old_methods(cls: type, base: type) -> None:
    """Lets a subclass override the methods of a base class, and call them, by their names of the last version.

    To be called from the base's ``__init_subclass__``. A user's class that overrides ``old`` gets it as ``new`` too,
    and every class that defines ``new`` gets an ``old`` that calls it.

    Args:
        cls: the new subclass.
        base: the class that ``METHODS`` has a table for.
    """
    if cls.__module__.partition(".")[0] != "gan_lab":
        _take_overrides(cls, METHODS[base.__name__])
    else:
        accept_old_model_arguments(cls)
    for each in (base, cls):
        for old, new in METHODS[base.__name__]:
            _put_old_name(each, old, new)
    for old, new in ATTRIBUTES.get(base.__name__, ()):
        if old not in vars(base):
            setattr(base, old, OldName(old, new))


def accept_old_model_arguments(cls: T) -> T:
    """Lets a class of ours be called with old arguments, also through a user's ``super().__init__(**arguments)``."""
    code = cls.__init__.__code__ if "__init__" in vars(cls) else None  # type: ignore[misc]
    present = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    names = renamed_arguments(f"{cls.__module__}.{cls.__qualname__}")
    accepted = {old: new for old, new in names.items() if new in present}
    groups = [group for group in GROUPS if group in present]
    return accept_old_arguments(accepted, groups)(cls) if accepted or groups else cls


def _take_overrides(cls: type, table: Iterable[tuple[str, str]]) -> None:
    for old, new in table:
        if old not in vars(cls) or new in vars(cls):
            continue
        overridden = next((vars(each)[new] for each in cls.__mro__[1:] if new in vars(each)), None)
        if overridden is not None and _fits(vars(cls)[old], overridden):
            warn_renamed(f"{cls.__qualname__}.{old}", new)
            setattr(cls, new, vars(cls)[old])


def _fits(value: Any, overridden: Any) -> bool:
    """Says whether a value can be meant to override another: a function must take as many positional arguments."""
    if not isinstance(value, FunctionType) or not isinstance(overridden, FunctionType):
        return isinstance(value, FunctionType) == isinstance(overridden, FunctionType)
    counts = [each.__code__.co_argcount for each in (value, overridden)]
    return counts[0] == counts[1] or bool(value.__code__.co_flags & VARARGS)


def _put_old_name(cls: type, old: str, new: str) -> None:
    """Gives a class that defines ``new`` an ``old``, unless that name means something else in it or above it."""
    above: Mapping[str, Any] = next((vars(each) for each in cls.__mro__ if old in vars(each)), {})
    foreign = bool(above) and not isinstance(above[old], OldName) and above.get(new) is not above[old]
    if new not in vars(cls) or old in vars(cls) or foreign:
        return
    setattr(cls, old, _old_name(old, new, vars(cls)[new]))


def _old_name(old: str, new: str, value: Any) -> OldName:
    return OldName(old, new, value) if hasattr(value, "__get__") else OldAttribute(old, new)


def accept_old_attributes(kind: str, *parts: Any) -> None:
    """Gives users' own parts, such as penalties, the present names of the attributes that they have under old ones.

    Args:
        kind: what they are, by which ``ATTRIBUTES`` has a table.
        parts: any objects.
    """
    for part in parts:
        for old, new in ATTRIBUTES[kind]:
            _move_attribute(part, old, new)


def _move_attribute(part: Any, old: str, new: str) -> None:
    """Puts what an object or its class has under an old name under the new one, by which the old one reads it."""
    holders = [part, *type(part).__mro__]
    number = next((i for i, each in enumerate(holders) if old in getattr(each, "__dict__", {})), None)
    if number is None or any(new in getattr(each, "__dict__", {}) for each in holders[:number]):
        return
    owner, value = holders[number], vars(holders[number])[old]
    if not isinstance(value, OldName):
        warn_renamed(f"{type(part).__name__}.{old}", new)
        delattr(owner, old)
        setattr(owner, new, value)
        setattr(owner if number else type(part), old, _old_name(old, new, value))


def present_arguments(path: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a configured call under their present names.

    Args:
        path: the dotted path of what is called.
        values: by name; a value under an old name wins over one under the present name, which is a default then.
    """
    names = {old: new for old, new in renamed_arguments(path).items() if old in values}
    for old, new in names.items():
        warn_renamed(f"{old} of {path}", new)
    return {name: value for name, value in values.items() if name not in names} | {
        new: values[old] for old, new in names.items()
    }


def accept_old_arguments(names: Mapping[str, str], groups: Iterable[str] = ()) -> Callable[[T], T]:
    """Lets a class be called with keyword arguments of the last version, and its attributes of these names be used.

    Args:
        names: old names → present ones.
        groups: arguments of the class that are objects now, and were arguments of their own (see ``GROUPS``).
    """

    def decorate(cls: T) -> T:
        initialise = cls.__init__  # type: ignore[misc]

        @wraps(initialise)
        def with_old_names(self: Any, *positional: Any, **named: Any) -> None:
            for old in [name for name in named if name in names]:
                warn_renamed(f"{cls.__name__}({old}=…)", f"{names[old]}=…")
                named[names[old]] = named.pop(old)
            for group in groups:
                _group_old_arguments(cls, group, named)
            initialise(self, *positional, **named)

        cls.__init__ = with_old_names  # type: ignore[misc]
        for old, new in names.items():
            if not any(old in vars(each) for each in cls.__mro__):
                setattr(cls, old, OldAttribute(old, new))
        return cls

    return decorate


def _group_old_arguments(cls: type, group: str, named: dict[str, Any]) -> None:
    """Replaces old arguments by the object that takes them now; they win over those of an object that is given too."""
    target, names = GROUPS[group]
    used = [old for old in names if old in named]
    if not used:
        return
    module, _, name = target.rpartition(".")
    given = {names[old]: named.pop(old) for old in used}
    warn_renamed(f"{cls.__name__}({used[0]}=…)", f"{group}={name}({names[used[0]]}=…)")
    if named.get(group) is not None:
        given = {new: getattr(named[group], new) for new in names.values()} | given
    named[group] = getattr(import_module(module), name)(**given)
