"""The cache of what is worked out from pictures that do not change."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.distributed import broadcast, rank_and_world_size

Tensors = dict[str, Tensor]


def cached(key: Sequence[object], compute: Callable[[], Tensors], cache_dir: str | Path | None) -> Tensors:
    """What ``compute`` gives, tensors on the CPU, or gave before under this key; a collective."""
    found = find(key, cache_dir)
    if found is None:
        found = compute()
        keep(key, found, cache_dir)
    return found


def find(key: Sequence[object], cache_dir: str | Path | None) -> Tensors | None:
    """What was kept under this key, if anything; a collective.

    Rank zero looks and tells the others, so that all or none compute.
    """
    rank, _ = rank_and_world_size()
    return broadcast(_load(_path(key, cache_dir)) if rank == 0 else None)


def keep(key: Sequence[object], tensors: Tensors, cache_dir: str | Path | None) -> None:
    """Rank zero writes them down."""
    if rank_and_world_size()[0] == 0:
        _save(_path(key, cache_dir), tensors)


def _path(key: Sequence[object], cache_dir: str | Path | None) -> Path:
    name = hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()
    return cache_folder(cache_dir) / "statistics" / f"{name}.safetensors"


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """The given folder, else the environment's GAN_LAB_CACHE, else ~/.cache/gan_lab."""
    return Path(cache_dir or os.environ.get("GAN_LAB_CACHE") or "~/.cache/gan_lab").expanduser()


def _load(path: Path) -> Tensors | None:
    try:
        return load(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (SafetensorError, ValueError, OSError) as error:
        warnings.warn(f"The cached statistics {path} cannot be read ({error}) and are computed anew.", stacklevel=2)
        return None


def _save(path: Path, tensors: Tensors) -> None:
    """A cache that cannot be written is done without."""
    try:
        with atomic_write(path) as beside:
            beside.write_bytes(save(tensors))
    except OSError as error:
        warnings.warn(f"Statistics could not be cached as {path} ({error}).", stacklevel=2)
