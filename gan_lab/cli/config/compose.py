"""Composing configurations as the command line does, and resolving them once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gan_lab.cli.config.hydra_versions import version_arguments
from gan_lab.cli.config.overrides import quote_paths
from gan_lab.cli.config.paths import home
from gan_lab.common.errors import UserError


def compose(overrides: Sequence[str] = (), config: str = "train") -> DictConfig:
    """Composes the configuration that ``python -m gan_lab.<config> <overrides>`` would get."""
    import hydra

    from gan_lab.cli.command import command_named, make_ready

    make_ready(config, overrides)
    command = command_named(config)
    quoted = [_searched(each) for each in quote_paths(command.complete(overrides), command.request)]
    with _without_callers_hydra(), hydra.initialize_config_dir(str(home("conf")), **version_arguments()):
        return hydra.compose(config, quoted)


def _searched(argument: str) -> str:
    """Returns an override in place of the command line's ``--config-dir=``, which composing in Python does not know."""
    option, _, folder = argument.partition("=")
    return f"hydra.searchpath=['file://{folder}']" if option == "--config-dir" else argument


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


def resolve(config: DictConfig) -> dict[str, Any]:
    """Returns the configuration as plain containers, every interpolation resolved.

    Raises:
        UserError: if a key that must be given is missing, or an interpolation leads nowhere.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(f"{missing[0]} must be given: add {missing[0]}=… to the command.")
    return _plain(config)


def resolve_part(config: DictConfig, key: str) -> dict[str, Any]:
    """Returns one part of the configuration as plain containers, every interpolation resolved; ``???`` stays.

    Raises:
        UserError: if an interpolation leads nowhere.
    """
    return _plain(config[key])


def _plain(config: DictConfig) -> dict[str, Any]:
    try:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(f"The configuration cannot be resolved: {str(error).splitlines()[0]}") from error
