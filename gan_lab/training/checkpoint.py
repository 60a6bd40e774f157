"""Checkpoints: written whole or not at all, read without running anybody's code, rebuilt into models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule
from torch import nn

from gan_lab.common.atomic import atomic_write
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import TRUSTED, instantiate
from gan_lab.common.upgrade import upgrade


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, written to a temporary file in the same folder, fsynced and renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with atomic_write(Path(path)) as beside:
            torch.save(checkpoint, beside)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        return read(path, map_location)


def read(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The plain containers and tensors of a checkpoint file.

    Raises:
        UserError: if there is no such file, or it is no checkpoint of this program.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give the path of a file such as runs/…/last.ckpt.")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read as a checkpoint: it is cut short, or was not made by gan_lab."
        ) from error
    if not isinstance(checkpoint, dict) or "gan_lab" not in checkpoint:
        raise UserError(f"{path} was not written by gan_lab: give a checkpoint that gan_lab.train made.")
    return upgrade(checkpoint)


def load(path: str | Path, device: str | torch.device = "cpu", trust: Sequence[str] = ()) -> Any:
    """Returns the model of a checkpoint in evaluation mode; no data set and no configuration folder is needed.

    Args:
        path: the checkpoint.
        device: where the model goes.
        trust: packages besides ``gan_lab.common.instantiate.TRUSTED`` that the checkpoint may take classes from.

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


def load_weights(model: nn.Module, path: str | Path) -> list[str]:
    """Copies the weights of a checkpoint into the parts of ``model`` that match; returns what did not match.

    Raises:
        UserError: if nothing matches by name and shape.
    """
    weights, mine = read(path)["state_dict"], model.state_dict()
    fitting = {name: value for name, value in weights.items() if name in mine and mine[name].shape == value.shape}
    if not fitting:
        raise UserError(f"No weight of {path} fits this model: init_from needs a checkpoint of the same networks.")
    model.load_state_dict(fitting, strict=False)
    return sorted(mine.keys() ^ fitting.keys())
