"""Composing configurations as the command line does, and resolving them once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import Container, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from gan_lab.cli.config.hydra_versions import version_arguments
from gan_lab.cli.config.mistakes import explain, first_line, of_resolver, parsed_override
from gan_lab.cli.config.overrides import quote_paths, unknown_choice
from gan_lab.cli.config.paths import home
from gan_lab.cli.help import group_names
from gan_lab.cli.requests import Request
from gan_lab.cli.values import convert
from gan_lab.common.errors import UserError


def compose(overrides: Sequence[str] = (), config: str = "train") -> DictConfig:
    """Composes the configuration that ``python -m gan_lab.<config> <overrides>`` would get.

    Raises:
        UserError: for overrides that cannot be composed, with the nearest names.
    """
    from hydra.errors import HydraException

    from gan_lab.cli.command import command_named, make_ready

    make_ready(config, overrides)
    command, path = command_named(config), home("conf") / f"{config}.yaml"
    quoted = [_searched(each) for each in quote_paths(command.complete(overrides), command.request)]
    check_overrides(quoted, path)
    try:
        composed = compose_file(path, quoted)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explained(error, quoted, path)) from error
    command.refuse_unread(quoted, composed)
    return composed


def _searched(argument: str) -> str:
    """Returns an override in place of the command line's ``--config-dir=``, which composing in Python does not know."""
    option, _, folder = argument.partition("=")
    return f"hydra.searchpath=['file://{folder}']" if option == "--config-dir" else argument


def compose_file(path: Path, overrides: Sequence[str], hydras: bool = False) -> DictConfig:
    """Composes a YAML file with overrides in Hydra's grammar; ``hydras`` adds Hydra's own settings."""
    import hydra

    with _without_callers_hydra(), hydra.initialize_config_dir(str(path.parent), **version_arguments()):
        return hydra.compose(path.stem, list(overrides), return_hydra_config=hydras)


def check_overrides(overrides: Sequence[str], path: Path) -> None:
    """Checks that each override can be read, and chooses what exists.

    Raises:
        UserError: if one does not.
    """
    for each in map(parsed_override, overrides):
        is_choice = each.is_delete() or each.is_sweep_override() or isinstance(each.value(), str | list)
        if (path.parent / str(each.key_or_group)).is_dir() and not is_choice:
            raise UserError(f"{each.input_line} is not valid: {each.key_or_group} is chosen by a name.")
    if wrong := unknown_choice(overrides, group_names(path.read_text())):
        raise UserError(wrong)


def explained(error: Exception, overrides: Sequence[str], path: Path, sweeps: bool = False) -> str:
    """Says in one sentence why a YAML file cannot be composed with these overrides; see ``mistakes.explain``."""
    return explain(error, overrides, group_names(path.read_text()), partial(compose_file, path, hydras=True), sweeps)


@contextmanager
def _without_callers_hydra() -> Iterator[None]:
    """Sets aside the state of a program that uses Hydra itself: there can be one at a time."""
    from hydra.core.global_hydra import GlobalHydra

    instance = GlobalHydra.instance()
    callers = instance.hydra
    instance.clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = callers


def check_given(config: DictConfig, request: type[Request]) -> None:
    """Checks the values of a request's keys before interpolations compute with them, and converts 1e3 to 1000.

    Raises:
        UserError: if a value is not valid.
    """
    hints = get_type_hints(request, include_extras=True)
    for name in (field.name for field in fields(request)):
        given = _given(config._get_node(name)) if name in config.keys() else _SKIPPED  # noqa: SIM118 (for null)
        if given is _SKIPPED:
            continue
        found = convert(name, given, hints[name])
        if type(found) in (int, str) and type(found) is not type(given):
            with open_dict(config):
                config[name] = found


_SKIPPED = object()


def _given(node: Any) -> Any:
    """Returns a node's value in plain containers, without what is missing or interpolated."""
    if node._is_missing() or node._is_interpolation():
        return _SKIPPED
    if not isinstance(node, Container) or node._is_none():
        return node._value()
    if not isinstance(node, DictConfig):
        return OmegaConf.to_container(node, resolve=False)
    items = {str(key): _given(node._get_node(key)) for key in node}
    return {key: value for key, value in items.items() if value is not _SKIPPED}


def resolve(config: DictConfig) -> dict[str, Any]:
    """Returns the configuration as plain containers, every interpolation resolved.

    Raises:
        UserError: if a key that must be given is missing, or an interpolation leads nowhere.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"{missing[0]} must be given: add {missing[0]}=… to the command.")
    resolved: dict[str, Any] = _plain(config)
    return resolved


def resolve_part(config: DictConfig, key: str) -> Any:
    """Returns one part of the configuration as plain containers, every interpolation resolved; ``???`` stays.

    Raises:
        UserError: if an interpolation leads nowhere.
    """
    return _plain(config[key])


def _plain(config: Any) -> Any:
    if not isinstance(config, Container):
        return config
    try:
        return OmegaConf.to_container(config, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        key = getattr(error, "full_key", None) or "The configuration"
        raise UserError(of_resolver(error) or f"{key} cannot be resolved: {first_line(str(error))}.") from error
