"""Files of averaged weights (safetensors): a model without what training needs, in the memory that its weights take.

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

SUFFIX = ".safetensors"
AVERAGED = "ema.networks."
"""Beginning of the names of averaged weights in a checkpoint; the live ones have the same names without it."""
PLACES = {"root": None, "data_dir": "data", "cache_dir": None}
"""Arguments of data that are paths of the machine where the model was trained, and what is written in their place."""


def write_weights(checkpoint: Mapping[str, Any], path: Path, dtype: torch.dtype = torch.float32, **notes: str) -> None:
    """Writes the averaged weights of a checkpoint, and how its model is built; paths of its data are left out.

    Args:
        checkpoint: plain containers and tensors; see ``gan_lab.training.checkpoint.read``.
        path: the file; it is replaced.
        dtype: of the weights; float16 takes half the room.
        notes: facts for readers, such as the data and their licence.
    """
    state = checkpoint["state_dict"]
    averaged = {name.removeprefix(AVERAGED): value for name, value in state.items() if name.startswith(AVERAGED)}
    others = {name: value for name, value in state.items() if not name.startswith(AVERAGED)}
    tensors = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().clone()
        for name, value in (others | averaged).items()
    }
    contents = {**checkpoint["gan_lab"], "data": _without_places(checkpoint["gan_lab"].get("data") or {})}
    kept = {"gan_lab": contents, "counters": checkpoint["counters"], "averaged": sorted(averaged)}
    header = {"gan_lab": json.dumps(kept), **notes}
    header["checksum"] = _checksum(tensors, header)
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, header)


def read_weights(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Returns what ``write_weights`` wrote, in the form of a checkpoint; floating weights are float32.

    Raises:
        UserError: if the file cannot be read, is damaged or has another origin.
    """
    try:
        with safe_open(str(path), "pt", str(device)) as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): give another file, or a copy of it.") from error
    if "gan_lab" not in header:
        raise UserError(f"{path} was not written by gan_lab: give a checkpoint of gan_lab.train.")
    if header.pop("checksum", None) != _checksum(tensors, header):
        raise UserError(f"{path} is damaged: give another file, or a copy of it.")
    kept = json.loads(header["gan_lab"])
    state = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    state |= {f"{AVERAGED}{name}": state[name] for name in kept.pop("averaged")}
    return {**kept, "extra_state": {}, "state_dict": state}


def _without_places(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: PLACES.get(name, value) for name, value in data.items()}


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """Returns a hash of all names and values."""
    digest = blake2b(json.dumps(header, sort_keys=True).encode(), digest_size=16)
    for name, value in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
