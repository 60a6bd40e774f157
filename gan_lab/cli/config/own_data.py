"""Facts that a recipe states of its own data, such as their name: they are not used for other data."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

FACT = "${own:"
"""The beginning of a value in a recipe that holds for its own data only."""
DEPTH = 2
"""Folders at the end of a path whose names say what is in it: ``imagenet/train``."""


def own(fact: Any, otherwise: Any, *, _root_: DictConfig) -> Any:
    """Returns a recipe's fact of its own data, such as ``${own:emoji,unpaired}``; the second value for other data."""
    return fact if has_own_data(_root_) else otherwise


def has_own_data(config: DictConfig) -> bool:
    """Tells whether the folders of the data are called as ``own_data`` says, or are still to be given."""
    own_data = OmegaConf.select(config, "own_data") or ()
    return "root" in config.data and all(_is_called(folder, own_data) for folder in _folders(config))


def say_unused_facts(config: DictConfig) -> None:
    """Says which facts of a recipe are not used, because the data are others."""
    keys = list(_facts(OmegaConf.to_container(config, resolve=False), ""))
    if keys and not has_own_data(config):
        from lightning.pytorch.utilities import rank_zero_info  # Lightning is slow to import

        given = ", ".join(_folders(config)) or config.data.name
        own_data = ", ".join(config.own_data)
        rank_zero_info(
            f"{given} is not the recipe's own data ({own_data}): what it states of {', '.join(keys)} is not used."
        )


def _folders(config: DictConfig) -> list[str]:
    data = config.data
    keys = [key for key in ("root", "a", "b") if key in data]
    return [str(data[key]) for key in keys if data[key] is not None]


def _is_called(folder: str, names: Sequence[str]) -> bool:
    ends = Path(folder).expanduser().absolute().parts[-DEPTH:]
    return any(name.lower() in end.lower() for name in names for end in ends)


def _facts(node: Any, key: str) -> Iterator[str]:
    """Yields the dotted keys of a recipe's facts."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _facts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, str) and node.startswith(FACT):
        yield key
