"""Methods and attributes of the last version work for one version, each with a ``RenamedWarning``.

The tables are in ``gan_lab.common.renames``. Modules are in ``gan_lab.common.old_modules``, arguments in
``gan_lab.common.old_arguments``.
"""

import sys
import warnings
from collections.abc import Iterable, Mapping
from operator import attrgetter
from types import FunctionType
from typing import Any, TypeVar

from gan_lab.common.renames import ATTRIBUTES, METHODS

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


def is_ours(cls: type) -> bool:
    """Returns True for a class of this package, False for a user's."""
    return cls.__module__.partition(".")[0] == "gan_lab"


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
    if not is_ours(cls):
        _take_overrides(cls, METHODS[base.__name__])
    for each in (base, cls):
        for old, new in METHODS[base.__name__]:
            _put_old_name(each, old, new)
    for old, new in ATTRIBUTES.get(base.__name__, ()):
        if old not in vars(base):
            setattr(base, old, OldName(old, new))


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
