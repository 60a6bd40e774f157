"""Arguments of the last version work for one version, each with a ``RenamedWarning``.

The tables are in ``gan_lab.common.renames``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from importlib import import_module
from typing import Any, TypeVar

from gan_lab.common.deprecation import OldAttribute, is_ours, warn_renamed
from gan_lab.common.renames import ARGUMENTS, GROUPS
from gan_lab.common.upgrade import renamed_arguments

T = TypeVar("T", bound=type)


def accept_old_model_arguments(cls: T) -> T:
    """Lets a class of ours be called with old arguments, also through a user's ``super().__init__(**arguments)``."""
    present = _parameters(cls)
    names = renamed_arguments(f"{cls.__module__}.{cls.__qualname__}")
    accepted = {old: new for old, new in names.items() if new in present}
    groups = [group for group in GROUPS if group in present]
    return accept_old_arguments(accepted, groups)(cls) if accepted or groups else cls


def present_arguments(path: str, target: object, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the keyword arguments of a configured call under the names that the called takes.

    Args:
        path: dotted path of the called, for warnings.
        target: the class or function that is called.
        values: arguments by name. A value under an old name wins over one under the present name, which is a default
            then. A user's class that names old arguments itself gets these.
    """
    if isinstance(target, type) and not is_ours(target):
        return _arguments_of_users_class(target, values)
    names = {old: new for old, new in renamed_arguments(path).items() if old in values}
    for old, new in names.items():
        warn_renamed(f"{old} of {path}", new)
    others = {name: value for name, value in values.items() if name not in names}
    return others | {new: values[old] for old, new in names.items()}


def _arguments_of_users_class(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    named, given = _parameters(cls), dict(values)
    for old, new in ARGUMENTS["models"].items():
        if old in named and new not in named and new in given and old not in given:
            warn_renamed(f"{cls.__name__}({old}=…)", f"{new}=…")
            given[old] = given.pop(new)
    for group, (_, names) in GROUPS.items():
        for old in [
            old for old in names if old in named and old not in given and hasattr(given.get(group), names[old])
        ]:
            warn_renamed(f"{cls.__name__}({old}=…)", f"{group}.{names[old]}")
            given[old] = getattr(given[group], names[old])
    return given


def _parameters(cls: type) -> Sequence[str]:
    """Names of the parameters of a class's own ``__init__``."""
    code = getattr(vars(cls).get("__init__"), "__code__", None)
    return code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount] if code else ()


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


def accept_old_ema(cls: T) -> T:
    """Lets the engine be called with ``ema``, averages that the caller made, in place of ``averages``."""
    initialise = cls.__init__  # type: ignore[misc]

    @wraps(initialise)
    def with_ema(self: Any, *positional: Any, ema: Any = None, **named: Any) -> None:
        initialise(self, *positional, **named)
        if ema is not None:
            warn_renamed(f"{cls.__name__}(ema=…)", "averages=…")
            self.ema = ema

    cls.__init__ = with_ema  # type: ignore[misc]
    return cls
