"""Hydra's own main function, in which every mistake on the command line is one sentence."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gan_lab.cli.requests import Request


def run(path: Path, request: type[Request], arguments: Sequence[str], work: Callable[[DictConfig], Any]) -> Any:
    """Composes a YAML file with the arguments of a command line, and calls ``work`` with each configuration.

    Args:
        path: the YAML file.
        request: the typed keys.
        arguments: in Hydra's grammar; they become this process's command line.
        work: must not raise.

    Raises:
        UserError: for everything that cannot be composed.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from gan_lab.cli.config.compose import explained
    from gan_lab.cli.config.hydra_versions import main_arguments
    from gan_lab.cli.config.mistakes import first_line
    from gan_lab.common.errors import MAKE_ERRORS, disk_sentence

    options, sys.argv[1:] = _read(arguments)
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # raises errors of composing; otherwise Hydra prints them and exits
    path, given = _file(path, options), [*options.overrides, *_search_path(options)]
    sweeps = options.multirun or "hydra.mode=MULTIRUN" in options.overrides
    try:
        _check(path, request, given, sweeps and not options.cfg)
        hydra.main(str(path.parent), path.stem, **main_arguments())(work)()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explained(error, given, path, sweeps)) from error
    except OSError as error:
        if error.errno not in MAKE_ERRORS or error.filename is None:
            raise
        raise UserError(disk_sentence(error)) from error  # hydra.run.dir or hydra.sweep.dir
    except (RecursionError, ValueError, YAMLError) as error:
        raise UserError(f"The command line cannot be used: {first_line(str(error))}.") from error
    except RuntimeError as error:
        if type(error).__module__.split(".")[0] != "submitit":
            raise
        words = f"A job ended before it was done ({first_line(str(error))})"
        raise UserError(f"{words}: start the same command again, and what is done stays.") from error


def _read(arguments: Sequence[str]) -> tuple[Namespace, list[str]]:
    """Returns Hydra's options, and the arguments with options first, as Hydra wants them.

    Raises:
        UserError: for options that do not exist.
    """
    from hydra._internal.utils import get_args_parser

    parser: ArgumentParser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    options = parser.parse_intermixed_args([*arguments])
    others = [each for each in arguments if each not in options.overrides]
    return options, [*others, *options.overrides]


def _refuse(message: str) -> NoReturn:
    raise UserError(f"The options cannot be read ({message}): --help lists the keys, --hydra-help the options.")


def _file(path: Path, options: Namespace) -> Path:
    """Returns the YAML file that the options name, by default the command's."""
    folder = Path(options.config_path).absolute() if options.config_path else path.parent
    return folder / f"{options.config_name.removesuffix('.yaml')}.yaml" if options.config_name else folder / path.name


def _search_path(options: Namespace) -> list[str]:
    """Returns the override that adds the user's config folder.

    Raises:
        UserError: if there is no such folder.
    """
    named = any(each.startswith("hydra.searchpath") for each in options.overrides)
    folder = options.config_dir and not named and Path(options.config_dir).absolute()
    if options.config_dir and not Path(options.config_dir).is_dir():
        raise UserError(f"There is no folder {options.config_dir}: give another --config-dir.")
    return [f"hydra.searchpath=['file://{folder}']"] if folder else []


def _check(path: Path, request: type[Request], overrides: Sequence[str], sweeps: bool) -> None:
    """Checks what can be known before Hydra composes: each argument and, for a sweep, the lines of its jobs.

    Raises:
        UserError: for an argument that cannot be read, a choice that does not exist, and a key or a value of a sweep
            that is not valid.
    """
    from gan_lab.cli.config.compose import check_overrides

    if not path.is_file():
        raise UserError(f"There is no configuration {path}: check --config-path and --config-name.")
    check_overrides(overrides, path)
    if sweeps:
        from gan_lab.cli.sweeps.lines import check_sweep

        check_sweep(path, request, overrides)
