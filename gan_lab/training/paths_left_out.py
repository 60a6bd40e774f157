"""Configurations without the paths of the machine that trained, for files that others get."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_lab.common.start_folder import DATA_PATHS


def without_paths(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a checkpoint's configurations without paths; ``places`` names those where its data were."""
    data = dict(contents.get("data") or {})
    places = [name for name in DATA_PATHS if name in data and name != "data_dir" and data[name] is not None]
    blank: dict[str, Any] = {**dict.fromkeys(places), "data_dir": "data", "cache_dir": None}
    data |= {name: value for name, value in blank.items() if name in data}
    found: dict[str, Any] = _relative({**contents, "data": data, "places": places})
    return found


def _relative(node: Any) -> Any:
    """Returns a configuration with null in place of absolute paths."""
    if isinstance(node, Mapping):
        return {name: _relative(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_relative(value) for value in node]
    return None if isinstance(node, str) and Path(node).is_absolute() else node
