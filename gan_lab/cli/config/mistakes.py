"""What is wrong with a command line that cannot be composed, in one sentence with the nearest names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from gan_lab.cli.config.paths import choices
from gan_lab.cli.config.unknown_keys import NAMED, has_keys, new_below, proposed_choice, unknown_key
from gan_lab.common.errors import UserError
from gan_lab.common.near_names import nearest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

Compose = Callable[[Sequence[str]], "DictConfig"]
QUOTES = """put a value with spaces, commas, colons or brackets in quotes, such as 'name="a, b"'"""
LISTS = ("metrics", "extractor", "remedy")
"""Groups of which several choices are made at once."""
NAMED_PARTS = ("metrics", "quick", "extractor", "callbacks", "logger")
"""Keys with parts by name, which are left out without a class."""


def explain(error: Exception, overrides: Sequence[str], groups: Sequence[str], compose: Compose, sweeps: bool) -> str:
    """Returns the sentence that says what is wrong.

    Args:
        error: raised by Hydra or OmegaConf while composing.
        overrides: the arguments of the command line without its options.
        groups: the command's config groups.
        compose: composes a configuration from overrides.
        sweeps: several values of a key are a sweep.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        parsed = [parsed_override(each) for each in overrides]
        for override in parsed:
            _refuse_several(override, groups, sweeps)
        _refuse_unknown(parsed, groups, compose)
    except UserError as wrong:
        return str(wrong)
    except (HydraException, OmegaConfBaseException) as other:  # of a group's choice
        return in_one_sentence(other)
    return in_one_sentence(error)


def parsed_override(text: str) -> Override:
    """Returns an override as Hydra's grammar reads it.

    Raises:
        UserError: if it cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, _ = text.partition("=")
    if not (equals or text.startswith("~")) or not re.fullmatch(r"[+~]*[^\s=+~]+", key):
        raise UserError(f"{text or repr(text)} is no key with a value: give key=value.")
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise UserError(f"{text} cannot be read: {QUOTES}.") from error


def swept_values(override: Override) -> list[str | None]:
    """Returns an override for each value of a sweep; of an interval its beginning, and None for a glob."""
    from hydra.core.override_parser.types import ValueType

    if not override.is_sweep_override():
        return [str(override.input_line)]
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return [None]
    interval = override.value_type is ValueType.INTERVAL_SWEEP
    values = [override.value().start] if interval else override.sweep_string_iterator()  # type: ignore[union-attr]
    return [f"{str(override.input_line).partition('=')[0]}={value}" for value in values]


def _refuse_several(override: Override, groups: Sequence[str], sweeps: bool) -> None:
    """Refuses several values of a key.

    Raises:
        UserError: unless this is a sweep, and the key is none of Hydra's.
    """
    text = str(override.input_line)
    if override.is_sweep_override() and override.is_hydra_override():
        raise UserError(f"{text} gives several values: a sweep cannot change Hydra's own settings, so give one.")
    if override.is_sweep_override() and not sweeps:
        key, _, value = text.partition("=")
        one = key in groups and key not in LISTS
        instead = "choose one" if one else f"give a list, {key}=[{value}]"
        raise UserError(f"{text} gives several values: add -m for a sweep over them, or {instead}.")


def _refuse_unknown(overrides: Sequence[Override], groups: Sequence[str], compose: Compose) -> None:
    """Refuses a key that does not exist, and one that is added and exists.

    Raises:
        UserError: with the nearest names.
    """
    keys = [each for each in overrides if not _is_group(each, groups)]
    config, bare = _without(keys, overrides, compose)
    known = [*groups, *dotted_keys(config)]
    for override in keys:
        key, text = str(override.key_or_group), str(override.input_line)
        if override.is_add() and _exists(bare, key) and not isinstance(override.value(), dict):
            raise UserError(f"{key} exists already: leave out the + of {text}.")
        if not _exists(config, key) and not override.is_add() and not override.is_force_add():
            package = f"@{override.package}" if override.package else ""
            raise UserError(
                proposed_choice(override, groups, known) or unknown_key(config, known, f"{key}{package}", text)
            )
        if not override.is_add() and (name := new_below(config, override)):
            raise UserError(f"{key} has no {name} by default: write +{text} to add it.")


def _without(
    keys: Sequence[Override], overrides: Sequence[Override], compose: Compose
) -> tuple[DictConfig, DictConfig]:
    """Composes the groups with the keys that are added, if they can be, and without any keys."""
    from hydra.errors import HydraException

    added_keys = [each for each in keys if each.is_add() or each.is_force_add()]
    groups = [first for each in overrides if each not in keys and (first := swept_values(each)[0])]
    added = [first for each in added_keys if (first := swept_values(each)[0])]
    bare = compose(groups)
    try:
        return (compose([*groups, *added]) if added else bare), bare
    except HydraException:
        return bare, bare


def _is_group(override: Override, groups: Sequence[str]) -> bool:
    return override.key_or_group in groups or "/" in str(override.key_or_group)


def dotted_keys(config: Any, prefix: str = "") -> Iterator[str]:
    """Yields the dotted key of every node of a configuration; interpolations are not followed."""
    for name in config if has_keys(config) else ():
        yield f"{prefix}{name}"
        yield from dotted_keys(config._get_node(name), f"{prefix}{name}.")


def _exists(node: Any, key: str) -> bool:
    """True if a configuration has a dotted key; below an interpolation everything may exist."""
    for part in re.split(r"\.|\[", key):
        if node is None or (hasattr(node, "_is_interpolation") and node._is_interpolation()):
            return node is not None
        if not has_keys(node):
            return hasattr(node, "_get_node") and part.rstrip("]").isdigit()
        if part not in node.keys():  # noqa: SIM118 ("in" alone denies keys without a value)
            return False
        node = node._get_node(part)
    return True


def refuse_unread(overrides: Sequence[str], groups: Sequence[str], keys: Sequence[str], config: DictConfig) -> None:
    """Refuses keys that are added to the configuration and that nothing reads.

    Args:
        overrides: the arguments of the command line without its options.
        groups: the command's config groups.
        keys: the command's own keys.
        config: what the overrides compose to; a key that one of its interpolations refers to is read.

    Raises:
        UserError: with the nearest key.
    """
    from omegaconf import OmegaConf

    for text in (each for each in overrides if each.startswith("+")):
        key = str(parsed_override(text).key_or_group)
        top = key.split(".")[0]
        _refuse_absent_part(key, text, config)
        if "/" in key or top in (*keys, *groups, "hydra") or _is_referred_to(top, OmegaConf.to_yaml(config)):
            continue
        near = get_close_matches(key, [*keys, *dotted_keys(config)], 2)
        meant = [f"did you mean {each}?" for each in near if each != key]
        raise UserError(f"There is no key {key}: {meant[0] if meant else f'nothing reads it, so leave out {text}.'}")


def _refuse_absent_part(key: str, text: str, config: DictConfig) -> None:
    """Refuses an argument that is added to a part which was not chosen.

    Raises:
        UserError: naming the parts that there are.
    """
    top, name, *arguments = [*key.split("."), ""]
    if top not in NAMED_PARTS or not any(arguments):
        return
    nodes = {each: config[top]._get_node(each) for each in config.get(top) or ()}
    there = [each for each, node in nodes.items() if has_keys(node) and "_target_" in node]
    if has_keys(nodes.get(name)) and name not in there:
        listed = (
            f"{top} has {', '.join(there[:NAMED])}{' and more' if there[NAMED:] else ''}" if there else "none is chosen"
        )
        raise UserError(f"There is no {top}.{name} that reads {text}: {listed}, and +{top}.{name}._target_=… adds one.")


def _is_referred_to(key: str, text: str) -> bool:
    """True if an interpolation in a configuration's YAML names the key."""
    return re.search(rf"\$\{{[^}}\n]*\b{re.escape(key)}\b", text) is not None


def in_one_sentence(error: Exception) -> str:
    """Returns an error of Hydra's or OmegaConf's in one sentence."""
    from hydra.errors import MissingConfigException

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing(str(error.missing_cfg_file), error.options or [])
    text = str(error).strip() or str(error.__cause__ or "")
    if later := re.search(r"No earlier Group Default for '([^'@]+)", text):  # as Hydra 1.4 says it
        return _comes_later(later[1])
    if found := re.search(r"Could not (?:override|delete) '(?P<key>[^'=]+)", text):
        near = re.search(r"Did you mean to override (\S+)\?", text)
        if near and near[1] == found["key"].partition("@")[0]:
            return _comes_later(near[1])
        return f"There is no group {found['key']}: " + (f"did you mean {near[1]}?" if near else "see --help for all.")
    return f"The configuration cannot be composed: {first_line(text)}."


def _comes_later(group: str) -> str:
    """Says that a file has chosen a group that is read after it."""
    return f"A file of another group cannot choose {group}: give {group}=… on the command line."


def of_resolver(error: BaseException | None) -> str | None:
    """Returns the sentence of a function that an interpolation called, if it refused its arguments; else None."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return None if error is None else str(error)


def first_line(text: str) -> str:
    """Returns the first line of a message, without the full stop at its end."""
    return text.strip().splitlines()[0].strip().rstrip(".:") if text.strip() else "nothing is known of the reason"


def _missing(name: str, options: Sequence[str]) -> str:
    """Says that there is no such choice of a group, or no such configuration."""
    group, _, choice = name.rpartition("/")
    known = sorted([*options] or choices(group))
    near = nearest(choice, known)
    meant = f"did you mean {near}? Choose among" if near else "choose among"
    there = f"There is no {group}={choice}" if group else f"There is no configuration {choice}"
    return f"{there}: {meant} {', '.join(known)}." if known else f"{there}: check its spelling."
