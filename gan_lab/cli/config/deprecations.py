"""Keys and choices of the last version are understood on the command line for one version, each with a warning."""

import functools
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from gan_lab.common.deprecation import RenamedWarning, warn_renamed
from gan_lab.common.renames import CHOICES
from gan_lab.common.upgrade import renamed_key

_OVERRIDE = re.compile(r"(?P<sign>~|\+{0,2})(?P<key>[^=@]+)(?P<package>@[^=]*)?(?:=(?P<value>.*))?", re.DOTALL)
"""Hydra's grammar of an override: sign, key or group, package, value."""
_INTERPOLATED = re.compile(r"(?<=\$\{)[\w.]+(?=\})")
"""The key in ``${key}``."""

_PRINTED: set[str] = set()
"""Warnings that this process has printed."""


def present_overrides(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments with the present names of keys and choices, and warns of each that changed.

    Args:
        arguments: of the command line, or overrides in its form: ``key=value`` with ``+``, ``++`` or ``~``, group
            choices such as ``metrics=[fid,looks]``, and sweeps such as ``metrics=fid,looks``. Options, which begin with
            ``-``, stay as they are.
    """
    return [argument if argument.startswith("-") else _present(argument) for argument in arguments]


def _present(argument: str) -> str:
    found = _OVERRIDE.fullmatch(argument)
    if found is None:
        return argument
    key, value = present_key(found["key"]), found["value"]
    beginning = f"{found['sign']}{key}{found['package'] or ''}"
    if value is None:
        return beginning
    if choices := CHOICES.get(key):
        value = re.sub(r"[\w.-]+", lambda name: _present_choice(key, name[0], choices), value)
    return f"{beginning}={re.sub(_INTERPOLATED, lambda name: present_key(name[0]), value)}"


def present_key(key: str) -> str:
    """Returns the present name of a dotted key, and warns if it changed."""
    present = renamed_key(key)
    if present != key:
        warn_renamed(key, present)
    return present


def _present_choice(group: str, name: str, choices: Mapping[str, str]) -> str:
    if name in choices:
        warn_renamed(f"{group}={name}", f"{group}={choices[name]}")
    return choices.get(name, name)


def print_warnings() -> None:
    """Prints each ``RenamedWarning`` of this process once, as one line on stderr; the first process alone prints."""
    warnings.simplefilter("always", RenamedWarning)  # "once" forgets whenever a block changes the filters
    if not isinstance(warnings.showwarning, functools.partial):
        warnings.showwarning = functools.partial(_print, warnings.showwarning)


def _print(otherwise: Any, message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    if not issubclass(category, RenamedWarning):
        return otherwise(message, category, *place, **more)
    from gan_lab.common.distributed import is_rank_zero  # torch is slow to import

    if is_rank_zero() and str(message) not in _PRINTED:
        _PRINTED.add(str(message))
        print(f"gan_lab: {message}", file=sys.stderr)
    return None
