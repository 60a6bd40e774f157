"""The cache of what is worked out from pictures that do not change."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gan_lab.atomic import replacing

Tensors = dict[str, Tensor]


def ranks() -> tuple[int, int]:
    """The rank of this process and the number of ranks."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def cached(key: Sequence[object], compute: Callable[[], Tensors], cache_dir: str | Path | None) -> Tensors:
    """What ``compute`` gives, tensors on the CPU, or gave before under this key; a collective.

    Rank zero looks and tells the others, so that all or none compute.
    """
    name = hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()
    path = cache_folder(cache_dir) / "statistics" / f"{name}.safetensors"
    rank, world = ranks()
    found = [_load(path) if rank == 0 else None]
    if world > 1:
        dist.broadcast_object_list(found, src=0)
    if found[0] is not None:
        return found[0]
    tensors = compute()
    if rank == 0:
        _save(path, tensors)
    return tensors


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
        with replacing(path) as beside:
            beside.write_bytes(save(tensors))
    except OSError as error:
        warnings.warn(f"Statistics could not be cached as {path} ({error}).", stacklevel=2)
