"""Checkpoints: written atomically, read without running code, rebuilt into models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule
from torch import nn
from torch.serialization import MAP_LOCATION

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import TRUSTED, instantiate
from gan_lab.common.upgrade import upgrade

Device = str | torch.device


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoint files that are written to a temporary file in the same folder, fsynced and renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        with atomic_write(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(
        self, path: str | Path, map_location: MAP_LOCATION = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        return read(path, map_location)


def read(path: str | Path, map_location: MAP_LOCATION = "cpu") -> dict[str, Any]:
    """Returns the plain containers and tensors of a checkpoint file, in the present format.

    Raises:
        UserError: if the file does not exist, or is not a checkpoint of gan_lab.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give the path of a file such as runs/…/last.ckpt.")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise UserError(f"{path} cannot be read: it is truncated, or is not a checkpoint of gan_lab.") from error
    if not isinstance(checkpoint, Mapping) or "gan_lab" not in checkpoint:
        raise UserError(f"{path} was not written by gan_lab: give a checkpoint of gan_lab.train.")
    return upgrade(checkpoint)


def load(path: str | Path, device: Device = "cpu", trust: Sequence[str] = ()) -> Any:
    """Returns the model of a checkpoint in evaluation mode; it needs no data set and no configuration folder.

    Args:
        path: checkpoint file.
        device: device of the model.
        trust: packages besides ``gan_lab.common.instantiate.TRUSTED`` whose classes and functions the checkpoint may
            name.

    Raises:
        UserError: if the file cannot be read, or names something outside the trusted packages.
    """
    return model_of(read(path), device, trust)


def model_of(checkpoint: Mapping[str, Any], device: str | torch.device = "cpu", trust: Sequence[str] = ()) -> Any:
    """Builds the model of a checkpoint's plain containers, in evaluation mode; see ``load``.

    Raises:
        UserError: if the checkpoint names something outside the trusted packages.
    """
    model: LightningModule = instantiate(checkpoint["gan_lab"]["model"], [*TRUSTED, *trust])
    model.load_state_dict(checkpoint["state_dict"])
    model.on_load_checkpoint(dict(checkpoint))
    return model.eval().to(device)


class Taken(NamedTuple):
    """What a model took from a checkpoint: the share of its parameters, and the names without a match."""

    share: float
    left_out: list[str]


def load_weights(model: nn.Module, path: str | Path, least: float = 0.0) -> Taken:
    """Copies the weights of a checkpoint that match the model by name and shape.

    Args:
        model: its averaged networks do not count in the share of its parameters.
        path: checkpoint file.
        least: smallest share of the parameters that the checkpoint must have.

    Raises:
        UserError: if nothing matches, or too little; the model then stays as it is.
    """
    stored, current = read(path)["state_dict"], model.state_dict()
    matching = {name: value for name, value in stored.items() if name in current and current[name].shape == value.shape}
    if not matching:
        raise UserError(f"No weight of {path} fits this model: init_from needs a checkpoint of the same networks.")
    sizes = {name: each.numel() for name, each in model.named_parameters() if not name.startswith("ema.")}
    share = sum(size for name, size in sizes.items() if name in matching) / max(sum(sizes.values()), 1)
    if share < least:
        raise UserError(
            f"{path} has only {share:.0%} of this model's parameters in the same shapes: give a checkpoint of networks "
            f"of the same widths, or init_share=0 to take what fits."
        )
    model.load_state_dict(matching, strict=False)
    return Taken(share, sorted(current.keys() ^ matching.keys()))
