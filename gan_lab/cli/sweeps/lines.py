"""The lines of a sweep's jobs, checked before the first job starts."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf, open_dict

from gan_lab.cli.config.compose import check_given, compose_file, explained, resolve_part
from gan_lab.cli.config.mistakes import parsed_override, swept_values
from gan_lab.common.atomic import check_place
from gan_lab.common.errors import UserError
from gan_lab.training.run_config import RUN_DIR

if TYPE_CHECKING:
    from gan_lab.cli.requests import Request

PARTS = ("trainer", "data", "model", "callbacks", "logger", "metrics", "quick", "extractor")
"""Keys whose values are checked by the classes of parts."""
GRID = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
RECORD = "hydra.callbacks.sweep.record"
COMPOSED = 64
"""Jobs that are composed together; of larger sweeps each value is tried with the first value of every other key."""


def check_sweep(path: Path, request: type["Request"], overrides: Sequence[str]) -> None:
    """Checks a sweep: the place of its record, and each value that its jobs are given; of a search only the first job.

    Values that are valid and do not work together are left to the job that has them, which stops no other.

    Args:
        path: the command's YAML file.
        request: the typed keys.
        overrides: the arguments of the command line without its options.

    Raises:
        UserError: for a key or a value that is not valid.
    """
    first = _composed(path, [each for each, *_ in map(_values, overrides) if each], request)
    if record := OmegaConf.select(first, RECORD):
        check_place(Path(str(record)).parent, RECORD)
    if first.hydra.sweeper._target_ != GRID:
        return
    in_file = [f"{key}={value}" for key, value in (first.hydra.sweeper.get("params") or {}).items()]
    by_key = {each.partition("=")[0]: each for each in [*in_file, *overrides]}
    swept = [[each for each in _values(override) if each] for override in by_key.values()]
    plain = [each for each in swept if each[1:] and _is_plain(each[0], request)]
    for override in (parsed_override(value) for values in plain for value in values):
        with open_dict(first):
            OmegaConf.update(first, str(override.key_or_group), override.value())
        check_given(first, request)
    of_parts = [each[:1] if each in plain else each for each in swept if each]
    if any(each[1:] for each in of_parts):
        for line in _lines(of_parts):
            _check_parts(_composed(path, line, request))


def _values(override: str) -> list[str | None]:
    return swept_values(parsed_override(override))


def _is_plain(line: str, request: type["Request"]) -> bool:
    """True if the request alone says which values of a key are valid."""
    top = line.partition("=")[0].split(".")[0]
    return top in request.__dataclass_fields__ and top not in PARTS


def _lines(swept: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yields the lines of all jobs or, of many, lines that have every value."""
    if prod(map(len, swept)) <= COMPOSED:
        yield from product(*swept)
        return
    for number, values in enumerate(swept):
        for value in values[1:]:
            yield [value if place == number else each[0] for place, each in enumerate(swept)]


def _composed(path: Path, overrides: Sequence[str], request: type["Request"]) -> DictConfig:
    """Returns the configuration of a job, in which the request's keys are valid.

    Raises:
        UserError: if it cannot be composed, or one is not.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        config = compose_file(path, overrides, hydras=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explained(error, overrides, path)) from error
    check_given(config, request)
    return config


def _check_parts(config: Any) -> None:
    """Checks the arguments of a job's parts as far as they are known.

    Raises:
        UserError: for one that a part does not have, or that is not valid.
    """
    from gan_lab.cli.config.old_keys import move_old_keys
    from gan_lab.cli.config.parts import check_all

    with open_dict(config):
        if "run_dir" in config:
            move_old_keys(config)
            config.run_dir = RUN_DIR
    for key in PARTS:
        node = None
        with suppress(UserError):  # told by the job: more is known of its data there
            node = resolve_part(config, key) if config.get(key) is not None else None
        check_all(node, key)
