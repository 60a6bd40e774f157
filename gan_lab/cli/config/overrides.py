"""Overrides on the command line: paths quoted for Hydra's grammar, wrong choices named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gan_lab.cli.config.deprecations import present_overrides
from gan_lab.cli.config.paths import choices
from gan_lab.cli.requests import words_field
from gan_lab.cli.values import path_keys
from gan_lab.common.errors import UserError
from gan_lab.common.near_names import nearest

if TYPE_CHECKING:
    from gan_lab.cli.requests import Request

R = TypeVar("R", bound="Request")
HYDRAS = ("hydra.sweep.dir", "hydra.callbacks.sweep.record")
"""Hydra's own keys that take paths."""
LISTS = ("metrics",)
"""Groups of which several choices are made at once, and none is an empty list."""
LITERALS = ("null", "auto", "false", "???")


def quote_paths(arguments: Sequence[str], request: type[Request]) -> list[str]:
    """Quotes the values of a request's keys that take paths, so that Hydra's grammar reads ``a,b (1).jpg`` or 2024 as
    they are. In a multirun a list of paths stays a list, unless a file of that very name exists.
    """
    keys = (*path_keys(request), *HYDRAS)
    sweeps = any(argument in ("-m", "--multirun") for argument in arguments)
    return [_quote(argument, keys, sweeps) for argument in present_overrides(arguments)]


def _quote(argument: str, keys: Sequence[str], sweeps: bool) -> str:
    key, equals, value = argument.partition("=")
    if not equals or value in LITERALS or re.fullmatch(r"(['\"]).*\1", value) or not takes_path(key, keys):
        return argument
    path = str(Path(value).expanduser()) if value.startswith("~") else value
    if not value or (sweeps and "," in value and not Path(path).exists()):
        return argument
    # Hydra reads \\ as \ only where it stands before a quote.
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), path)
    return f"{key}='{escaped}'"


def takes_path(key: str, keys: Iterable[str]) -> bool:
    """True if a dotted key is among those that take paths, in which ``*`` stands for one part."""
    parts = key.lstrip("+").split(".")
    patterns = (each.split(".") for each in keys)
    return any(len(each) == len(parts) and all(map(fnmatchcase, parts, each)) for each in patterns)


def shown(overrides: Sequence[str], request: type[Request]) -> str:
    """The overrides as a shell reads them, for a record: without this machine's paths, the data's shown as …."""
    keys, found = (*path_keys(request), *HYDRAS), []
    for override in overrides:
        key = override.split("=")[0]
        if not takes_path(key, keys):
            found.append(shlex.quote(override))
        elif key.startswith("data."):
            found.append(f"{key}=…")
    return " ".join(found)


def named_modules(arguments: Iterable[str]) -> list[str]:
    """The top modules of classes that overrides name, such as my_metrics for ``_target_=my_metrics.Mine``."""
    return [name for argument in arguments for name in re.findall(r"_target_\s*[=:]\s*['\"]?([a-zA-Z]\w*)", argument)]


def words_request(request: type[R], arguments: Sequence[str]) -> R:
    """The request of a command line of words and ``key=value``.

    Raises:
        UserError: if there is no such key, or a value is not valid.
    """
    field = words_field(request)
    assert field is not None
    values: dict[str, object] = {}
    words = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in request.__dataclass_fields__ and key != field[0]:
            values[key] = value
        else:
            _refuse_misspelt(argument, [each for each in request.__dataclass_fields__ if each != field[0]])
            words.append(argument)
    return request.checked(values | {field[0]: words})


def _refuse_misspelt(word: str, keys: Sequence[str]) -> None:
    """Refuses a word that looks like an option, or like a key, unless there is a file of that name.

    Raises:
        UserError: with the nearest key.
    """
    key, equals, _ = word.partition("=")
    looks = word.startswith("-") or (equals and re.fullmatch(r"\w+", key))
    if not looks or Path(word).exists():
        return
    if word.startswith("-"):
        raise UserError(
            f"There is no option {key}: give keys without dashes, {' or '.join(f'{each}=…' for each in keys)}."
        )
    near = nearest(key, keys)
    meant = f"did you mean {near}?" if near else f"the keys are {', '.join(keys)}."
    raise UserError(f"There is no key {key}: {meant}")


def unknown_choice(arguments: Sequence[str], groups: Sequence[str] | None = None) -> str | None:
    """Says what is wrong with the choices of groups, such as ``model=dcgn`` or ``metrics=[fid,kdi]``.

    With config folders of the user's own every name may be right: then nothing is refused. Returns None if nothing is
    wrong.

    Args:
        arguments: of the command line.
        groups: the command's config groups; None for all.
    """
    if any(argument.startswith(("-cd", "--config-dir", "hydra.searchpath")) for argument in arguments):
        return None
    return next(filter(None, (_wrong_choice(each, groups) for each in arguments)), None)


def _wrong_choice(argument: str, groups: Sequence[str] | None) -> str | None:
    found = re.fullmatch(r"(?P<group>[a-z]\w*)(?:@[\w.]+)?=(?P<list>\[)?(?P<names>[\w, -]+)\]?", argument)
    known = choices(found["group"]) if found and (groups is None or found["group"] in groups) else []
    if not found or not known:
        return None
    names = re.split(r"[, ]+", found["names"].strip())
    if names == ["null"]:
        none = "give [] for none" if found["group"] in LISTS else f"leave {found['group']}= out"
        return f"{argument} is not valid: choose among {', '.join(known)}, or {none}."
    wrong = next((name for name in names if name not in (*known, "null")), None)
    near = nearest(wrong or "", known)
    meant = f"did you mean {near}? Choose among" if near else "choose among"
    return f"There is no {found['group']}={wrong}: {meant} {', '.join(known)}." if wrong else None
