"""The on-disk cache of statistics of images that do not change."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from gan_lab.common.atomic import atomic_write, mark_used
from gan_lab.common.distributed import broadcast, rank_and_world_size
from gan_lab.common.integrity import seal_bytes, unseal_bytes

Tensors = dict[str, Tensor]


def cached(key: Sequence[object], compute: Callable[[], Tensors], cache_dir: str | Path | None) -> Tensors:
    """Returns the tensors stored under a key, or computes and stores them (collective).

    Args:
        key: plain values that identify the result.
        compute: computes the tensors, on the CPU.
        cache_dir: see ``cache_folder``.
    """
    found = find(key, cache_dir)
    if found is None:
        found = compute()
        keep(key, found, cache_dir)
    return found


def cached_apart(key: Sequence[object], compute: Callable[[], Tensors], cache_dir: str | Path | None) -> Tensors:
    """Returns the tensors stored under a key, or computes and stores them, without communication between ranks.

    Processes that need them at the same time wait for the first one.

    Args:
        key, compute, cache_dir: see ``cached``.
    """
    path = _path(key, cache_dir)
    found = _load(path)
    if found is None:
        with _one_at_a_time(path.with_suffix(".lock")):
            found = _load(path)
            if found is None:
                found = compute()
                _save(path, found)
    return found


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    """Waits until no other process is in the block; does not wait if the lock cannot be written."""
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
        with suppress(OSError):  # Windows removes no open file
            file.unlink()
    finally:
        lock.release()


def find(key: Sequence[object], cache_dir: str | Path | None) -> Tensors | None:
    """Returns the tensors stored under a key, or None (collective).

    Rank 0 reads the file and broadcasts its contents, so that either all ranks or none compute.
    """
    rank, _ = rank_and_world_size()
    return broadcast(_load(_path(key, cache_dir)) if rank == 0 else None)


def keep(key: Sequence[object], tensors: Tensors, cache_dir: str | Path | None) -> None:
    """Stores tensors under a key; only rank 0 writes."""
    if rank_and_world_size()[0] == 0:
        _save(_path(key, cache_dir), tensors)


def _path(key: Sequence[object], cache_dir: str | Path | None) -> Path:
    name = hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()
    return cache_folder(cache_dir) / "statistics" / f"{name}.safetensors"


def cache_folder(cache_dir: str | Path | None = None) -> Path:
    """Returns the given folder, else the environment's GAN_LAB_CACHE, else ~/.cache/gan_lab."""
    return Path(cache_dir or os.environ.get("GAN_LAB_CACHE") or "~/.cache/gan_lab").expanduser()


def _load(path: Path) -> Tensors | None:
    try:
        found = load(unseal_bytes(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        warnings.warn(f"The cached statistics {path} cannot be read ({error}) and are computed anew.", stacklevel=2)
        return None
    mark_used(path)
    return found


def _save(path: Path, tensors: Tensors) -> None:
    """Writes the file; a cache that cannot be written only causes a warning."""
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(seal_bytes(save(tensors)))
    except OSError as error:
        warnings.warn(f"Statistics could not be cached as {path} ({error}).", stacklevel=2)
