"""Sequences that a trained model continues: the work behind ``gan_lab.predict``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from gan_lab.cli.config.checks import check_sampling
from gan_lab.cli.config.compose import resolve
from gan_lab.cli.inputs import data_of
from gan_lab.common.capabilities import Predicts, RealClips, Samples, SamplesClips
from gan_lab.common.device import resolve_device
from gan_lab.common.errors import UserError
from gan_lab.common.images import grid, save_animation, save_images, save_png, to_float
from gan_lab.common.precision import full_precision
from gan_lab.common.runs import checkpoint_path
from gan_lab.data.clip_subsets import spread_clips
from gan_lab.data.loading.splits import SPLITS, sides
from gan_lab.data.reading.pictures import MODES, Frame
from gan_lab.data.sources.recording_files import read_recording
from gan_lab.evaluation.metrics.prediction import BASELINES, squared_error
from gan_lab.inference.clip_rows import compared
from gan_lab.inference.sampling import ANIMATIONS
from gan_lab.training.checkpoint import load, read
from gan_lab.training.trainer import apply_options

ABREAST = 16
"""Sequences in an animation."""


@dataclass(frozen=True)
class Sequences:
    """What is continued.

    Args:
        given: float32 (N, T, C, H, W) in [-1, 1].
        truth: what came next, as far as it is known, (N, S, C, H, W).
    """

    given: Tensor
    truth: Tensor


def predict(config: DictConfig) -> None:
    """Writes what a model makes of the frames that follow given ones, as a sheet and as an animation; where the truth
    is there, beside it and with the error.

    Raises:
        UserError: if the model does not predict, a key does not serve, or there are too few frames.
    """
    plain = resolve(config)
    _check(plain)
    path = checkpoint_path(plain["checkpoint"])
    model = apply_options(load(path, resolve_device(plain["device"]), plain["trust"]), plain)
    if not isinstance(model, Predicts):
        makes = isinstance(model, Samples | SamplesClips)
        works = f"gan_lab.sample checkpoint={path} shows what it makes" if makes else "train model=simvp"
        raise UserError(f"{path} holds the model {type(model).__name__}, which continues no sequences: {works}.")
    found = _of_data(path, model, plain) if plain["input"] is None else _of_input(path, plain)
    made = _continued(model, found.given, plain)
    _tell(found, made)
    shown = found.given[:, -min(found.given.shape[1], model.context_frames) :]
    _write(compared(shown, made, found.truth), made, plain)


def _check(plain: Mapping[str, Any]) -> None:
    """Before anything is read."""
    check_sampling({"truncation": 1.0, **plain}, "n", "frames", "stride", "batch_size")
    if plain["after"] is not None and (type(plain["after"]) is not int or plain["after"] < 1):
        raise UserError(f"after={plain['after']} does not serve: give a whole number of frames from 1 up, or null.")
    if plain["split"] not in SPLITS:
        raise UserError(f"split={plain['split']} does not serve: give one of {', '.join(SPLITS)}.")


def _of_data(path: Path, model: Predicts, plain: dict[str, Any]) -> Sequences:
    """Clips that are spread over a split of the data that the model learned from."""
    data = data_of(path, plain)
    if not isinstance(data, RealClips):
        raise UserError(f"The data of {path} are no sequences: give input=….")
    n = min(plain["n"], data.count(plain["split"]))
    clips = torch.cat([part for _, part in spread_clips(data, plain["split"], n, plain["batch_size"])])
    return _parted(to_float(clips), plain["after"] or model.context_frames, "A clip of the data")


def _of_input(path: Path, plain: Mapping[str, Any]) -> Sequences:
    """The user's sequence, in the size and colours of what the model learned from."""
    node = read(path)["gan_lab"].get("data") or {}
    if node.get("channels") not in MODES or not node.get("size"):
        raise UserError(f"{path} does not say of what size and colour its frames are: leave input= away.")
    frame = Frame(sides(node["size"]), sides(node["size"]), node["channels"])
    most = plain["after"] and (plain["after"] + plain["frames"]) * plain["stride"]
    frames = torch.from_numpy(read_recording(Path(plain["input"]).expanduser(), frame, most))[:: plain["stride"]]
    return _parted(to_float(frames)[None], plain["after"] or len(frames), f"input={plain['input']}")


def _parted(clips: Tensor, after: int, what: str) -> Sequences:
    if after > clips.shape[1]:
        raise UserError(f"{what} has {clips.shape[1]} frames, fewer than after={after}: give a smaller one.")
    return Sequences(clips[:, :after], clips[:, after:])


def _continued(model: Predicts, given: Tensor, plain: Mapping[str, Any]) -> Tensor:
    """The next frames, (N, S, C, H, W), on the CPU."""
    device = resolve_device(plain["device"])
    with torch.no_grad(), full_precision():
        parts = [model.predict(part.to(device), plain["frames"]).cpu() for part in given.split(plain["batch_size"])]
    return torch.cat(parts)


def _tell(found: Sequences, made: Tensor) -> None:
    """How near the predictions come to what is known of the truth."""
    known = min(found.truth.shape[1], made.shape[1])
    print(f"Predicted {made.shape[1]} frames of {len(made)} sequences, {found.given.shape[1]} frames given")
    if known:
        truth = found.truth[:, :known].flatten(0, 1)
        error = squared_error(made[:, :known].flatten(0, 1), truth).mean()
        idle = squared_error(BASELINES["repeat"](found.given, known).flatten(0, 1), truth).mean()
        print(f"Summed squared error a frame {error:.1f}; of the last frame again {idle:.1f}")


def _write(rows: Tensor, made: Tensor, plain: Mapping[str, Any]) -> None:
    """The sheet, a block of rows for each sequence, and the animation, a column for each of the first ones."""
    output = Path(plain["output"]).expanduser()
    ending = output.suffix.lower()
    named = output if ending in (".png", *ANIMATIONS) else output / "prediction.gif"
    folder, still = named.parent, named.with_suffix(".png")
    moving = named.with_suffix(".gif") if ending == ".png" else named
    save_png(still, grid(rows.transpose(0, 1).flatten(0, 2), rows.shape[2]))
    abreast = rows[:, :ABREAST]
    columns = abreast.flatten(0, 1).unbind(1)
    save_animation(moving, torch.stack([grid(frame, abreast.shape[1]) for frame in columns]), plain["fps"])
    print(f"Wrote {still} and {moving}")
    if plain["single"]:
        save_images(folder, made.flatten(0, 1))
        print(f"Wrote {made.shape[0] * made.shape[1]} pictures to {folder}")
