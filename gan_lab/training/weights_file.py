"""Files of averaged weights (safetensors): a model without the state of optimizers and without its live copies.

Every command that reads a checkpoint reads them. The live weights are the averaged ones; training cannot go on.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.training.model_folder import read_model
from gan_lab.training.paths_left_out import without_paths

SUFFIX = ".safetensors"
AVERAGED = "ema.networks."
"""Beginning of the names of averaged weights in a checkpoint; the live ones have the same names without it."""
KEYS = {"gan_lab": dict, "counters": dict, "averaged": list}
"""What a file holds besides weights, in its header."""


def write_weights(checkpoint: Mapping[str, Any], path: Path, dtype: torch.dtype = torch.float32, **notes: str) -> None:
    """Writes the averaged weights of a checkpoint, and how its model is built; paths of the machine are left out.

    A tensor with values beyond the range of float16 is kept in its own type.

    Args:
        checkpoint: plain containers and tensors; see ``gan_lab.training.checkpoint.read``.
        path: the file; it is replaced.
        dtype: of the weights; float16 takes half the room.
        notes: facts for readers, such as the data and their licence.
    """
    state = checkpoint["state_dict"]
    averaged = {name.removeprefix(AVERAGED): value for name, value in state.items() if name.startswith(AVERAGED)}
    others = {name: value for name, value in state.items() if not name.startswith(AVERAGED)}
    tensors = {name: _stored(value, dtype).contiguous().clone() for name, value in (others | averaged).items()}
    contents = without_paths(checkpoint["gan_lab"])
    kept = {"gan_lab": contents, "counters": checkpoint["counters"], "averaged": sorted(averaged)}
    header = {**notes, "gan_lab": json.dumps(kept)}
    header["checksum"] = _checksum(tensors, header)
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, header)


def read_weights(path: Path) -> dict[str, Any]:
    """Returns what ``write_weights`` wrote, in the form of a checkpoint; floating weights are float32.

    A file without a configuration in its header is one of ``gan_lab.training.model_folder``.

    Raises:
        UserError: if the file cannot be read, is damaged or has another origin.
    """
    try:
        with safe_open(str(path), "pt") as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): give another file, or a copy of it.") from error
    if "gan_lab" not in header:
        return read_model(path)
    if header.pop("checksum", None) != _checksum(tensors, header):
        raise UserError(f"{path} is damaged: give another file, or a copy of it.")
    kept = _contents(header["gan_lab"], path)
    state = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    state |= {f"{AVERAGED}{name}": state[name] for name in kept.pop("averaged") if name in state}
    return {**kept, "extra_state": None, "state_dict": state}


def _contents(text: str, path: Path) -> dict[str, Any]:
    """Returns the header's contents; anybody may have written them.

    Raises:
        UserError: if they are not ours.
    """
    try:
        kept = json.loads(text)
        ours = all(isinstance(kept[name], kind) for name, kind in KEYS.items()) and isinstance(
            kept["gan_lab"]["model"], dict
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise UserError(f"{path} was not written by gan_lab: give a checkpoint of gan_lab.train.")
    return {name: kept[name] for name in KEYS}


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    if not value.is_floating_point():
        return value
    stored = value.to(dtype)
    return stored if torch.equal(stored.isfinite(), value.isfinite()) else value


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """Returns a hash of all names and values."""
    digest = blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
