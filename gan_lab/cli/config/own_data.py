"""Facts that a recipe or a public set states of its own data, such as their name: they are not used for other data."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_lab.common.upgrade import leaves

FACT = "${own:"
"""The beginning of a value in a recipe that holds for its own data only."""
PRESET = "${preset:"
"""The beginning of a value in conf/data that holds for the public set only."""
DEPTH = 2
"""Folders at the end of a path whose names say what is in it: ``imagenet/train``."""


def own(fact: Any, otherwise: Any, *, _root_: DictConfig) -> Any:
    """Returns a recipe's fact of its own data, such as ``${own:emoji,unpaired}``; the second value for other data."""
    return fact if has_own_data(_root_) else otherwise


def preset(name: str, fact: Any, otherwise: Any, *, _root_: DictConfig) -> Any:
    """Returns a fact of a public set, ``${preset:facades,b2a,a2b}``; the second value for a folder called otherwise."""
    return fact if all(_is_called(folder, [name]) for folder in _folders(_root_)) else otherwise


def has_own_data(config: DictConfig) -> bool:
    """Tells whether the folders of the data are called as ``own_data`` says, or are still to be given."""
    own_data = OmegaConf.select(config, "own_data") or ()
    return "root" in config.data and all(_is_called(folder, own_data) for folder in _folders(config))


def say_unused_facts(config: DictConfig) -> None:
    """Says which facts of a recipe or a public set are not used, because the data are others."""
    from lightning.pytorch.utilities import rank_zero_info  # Lightning is slow to import

    raw = OmegaConf.to_container(config, resolve=False)
    keys, stated = list(_facts(raw, "")), {key: OmegaConf.select(config, key) for key in _facts(raw, "", PRESET)}
    name = str(config.data.get("archive"))
    if stated and stated.get("data.name", name) != name:
        called, given = name.removesuffix("_unpaired"), ", ".join(_folders(config))
        rank_zero_info(
            f"{given} is not called {called}, so what data={name} states of {', '.join(stated)} is not used."
        )
    if keys and not has_own_data(config):
        given = ", ".join(_folders(config)) or config.data.name
        own_data = ", ".join(config.own_data)
        rank_zero_info(
            f"{given} is not the recipe's own data ({own_data}): what it states of {', '.join(keys)} is not used."
        )


def keep_facts(config: DictConfig, recorded: Mapping[str, Any]) -> None:
    """Sets the facts to those that a run recorded: its data may lie in a folder that is called otherwise now."""
    raw = OmegaConf.to_container(config, resolve=False)
    known = {".".join(path): value for path, value in leaves(recorded)}
    for key in (*_facts(raw, ""), *_facts(raw, "", PRESET)):
        if key in known:
            OmegaConf.update(config, key, known[key])


def _folders(config: DictConfig) -> list[str]:
    data = config.data
    keys = [key for key in ("root", "a", "b", "images_folder", "labels_folder") if key in data]
    return [str(data[key]) for key in keys if data[key] is not None]


def _is_called(folder: str, names: Sequence[str]) -> bool:
    ends = Path(folder).expanduser().absolute().parts[-DEPTH:]
    return any(name.lower() in end.lower() for name in names for end in ends)


def _facts(node: Any, key: str, kind: str = FACT) -> Iterator[str]:
    """Yields the dotted keys of the facts of a recipe, or of a public set."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _facts(value, f"{key}.{name}" if key else str(name), kind)
    elif isinstance(node, str) and node.startswith(kind):
        yield key
