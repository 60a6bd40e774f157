"""Checkpoints: written atomically, read without running code, rebuilt into models."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import LightningModule
from torch import nn
from torch.serialization import MAP_LOCATION

from gan_lab.common.atomic import atomic_write, raise_disk_error
from gan_lab.common.class_names import name_classes
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.integrity import is_whole, seal_zip
from gan_lab.common.left_out import leave_out
from gan_lab.common.runs import checkpoint_path
from gan_lab.common.trust import MODEL_PARTS
from gan_lab.common.upgrade import upgrade
from gan_lab.training.alternating import AlternatingModule, to_channels_last
from gan_lab.training.weights_file import SUFFIX, read_weights

Device = str | torch.device


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoint files with a checksum, written to a temporary file in the same folder, fsynced and renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        with atomic_write(Path(path)) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError:  # torch hides the disk's own error
                raise_disk_error(temporary)
                raise
            seal_zip(temporary)

    def load_checkpoint(
        self, path: str | Path, map_location: MAP_LOCATION = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        refuse_weights(path)
        return read(path, map_location, mapped=False)  # a run goes on with these very tensors


def refuse_weights(path: str | Path | None) -> None:
    """Checks that a file to go on from is not one of weights alone.

    Raises:
        UserError: if it is.
    """
    if path is not None and Path(path).suffix == SUFFIX:
        raise UserError(f"{path} has weights alone, from which no run can go on: init_from={path} starts a new one.")


def read(path: str | Path, map_location: MAP_LOCATION = "cpu", mapped: bool = True) -> dict[str, Any]:
    """Returns the plain containers and tensors of a checkpoint file, or of a folder's, in the present format.

    A file of weights alone (.safetensors) has the model and no state of training. ``mapped`` reads tensors from
    the file when they are used: half of a checkpoint are the optimizers' states, which no model needs.

    Raises:
        UserError: if the file does not exist, is damaged, or is not a checkpoint of gan_lab.
    """
    path = checkpoint_path(path)
    if path.suffix == SUFFIX:
        return upgrade(read_weights(path))
    mapped = mapped and os.fsencode(path) == str(path).encode(errors="replace")  # torch maps files with names in UTF-8
    checkpoint = _verified(path, map_location, mapped)
    if isinstance(checkpoint, Mapping) and "gan_lab" not in checkpoint and "counters" in checkpoint:
        raise UserError(
            f"{path} does not say how its model was built, as that was done in Python: build it again in the same way, "
            "and give the file to load_from_checkpoint of its class, or to Trainer.fit(ckpt_path=…)."
        )
    if not isinstance(checkpoint, Mapping) or "gan_lab" not in checkpoint:
        raise UserError(f"{path} was not written by gan_lab: give a checkpoint of gan_lab.train.")
    return upgrade(checkpoint)


def _verified(path: Path, map_location: MAP_LOCATION, mapped: bool) -> Any:
    """Returns the contents of a file, and verifies its checksum at the same time, in a thread.

    Raises:
        UserError: if the file is damaged, or not one of PyTorch's.
    """
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(is_whole, path)
        try:
            contents, problem = torch.load(path, map_location=map_location, weights_only=True, mmap=mapped), None
        except Exception as error:  # a damaged file can raise anything
            contents, problem = None, error
    if not whole.result():
        raise UserError(
            f"{path} is damaged or truncated, or is not a checkpoint of gan_lab: {_instead(path)}."
        ) from problem
    if problem is not None:
        raise UserError(f"{path} cannot be read, and is not a checkpoint of gan_lab: {_instead(path)}.") from problem
    return contents


def _instead(path: Path) -> str:
    """Says which other checkpoint in the folder can be used, the newest that is whole."""
    others = sorted(path.parent.glob("[!.]*.ckpt"), key=lambda each: each.stat().st_mtime, reverse=True)
    found = next((each for each in others if each != path and is_whole(each)), None)
    return f"give {found}, which is whole" if found else "give another, or a copy of it"


def load(path: str | Path, device: Device = "cpu", trust: Sequence[str] = ()) -> Any:
    """Returns the model of a checkpoint in evaluation mode; it needs no data set and no configuration folder.

    Args:
        path: checkpoint file, a run's folder, which stands for its last checkpoint, or that of an exported model.
        device: device of the model.
        trust: modules of your own whose classes and functions the checkpoint may name; their code is run.

    Raises:
        UserError: if the file cannot be read, or names something that is not trusted.
    """
    return model_of(read(path), device, trust)


def model_of(checkpoint: Mapping[str, Any], device: str | torch.device = "cpu", trust: Sequence[str] = ()) -> Any:
    """Builds the model of a checkpoint's plain containers, in evaluation mode and its own memory layout; see ``load``.

    Raises:
        UserError: if the checkpoint names something that is not trusted.
    """
    model: LightningModule = instantiate(checkpoint["gan_lab"]["model"], MODEL_PARTS.extended(trust))
    leave_out(model, checkpoint.get("left_out", ()))
    restore(model, checkpoint)
    name_classes(model, checkpoint["gan_lab"].get("class_names"))
    if isinstance(model, AlternatingModule) and model.engine.channels_last:
        to_channels_last(model)
    return model.eval().to(device)


def restore(model: LightningModule, checkpoint: Mapping[str, Any]) -> None:
    """Gives a model the weights and the state of a checkpoint of a model of the same configuration.

    Raises:
        UserError: if the weights are those of another one.
    """
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        first = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error)).rstrip(".")
        raise UserError(
            f"The weights are not those of the model that their configuration builds ({first[:200]}): give weights and "
            "configuration of one run."
        ) from error
    model.on_load_checkpoint(dict(checkpoint))


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
