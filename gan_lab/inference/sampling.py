"""Pictures of a trained model: the work behind ``gan_lab.sample``."""

from collections.abc import Callable
from itertools import zip_longest
from math import ceil
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from gan_lab.cli.config.checks import check_sampling
from gan_lab.cli.config.compose import resolve
from gan_lab.common.capabilities import (
    Decodes,
    DrawsStepwise,
    Predicts,
    Quantizes,
    Samples,
    SamplesClips,
    Translates,
    Traverses,
)
from gan_lab.common.device import resolve_device
from gan_lab.common.distributed import all_gather, rank_and_world_size
from gan_lab.common.errors import UserError
from gan_lab.common.images import grid, grid_by_label, save_animation, save_images, save_png, strip
from gan_lab.common.launch import on_every_device
from gan_lab.common.runs import checkpoint_path
from gan_lab.inference.interpolation import interpolate, lerp, slerp
from gan_lab.inference.traversal import rank_latents, traverse
from gan_lab.training.checkpoint import load
from gan_lab.training.trainer import apply_options

ANIMATIONS = (".gif", ".webp", ".mp4")
FILES = (".png", *ANIMATIONS)


def sample(config: DictConfig) -> None:
    """Writes samples of a checkpoint, and nothing but a checkpoint is needed; on several devices each makes a part.

    Raises:
        UserError: if the model does not sample, or a key does not serve.
    """
    plain = resolve(config)
    checkpoint_path(plain["checkpoint"])
    check_sampling(plain, "n", "batch_size", "steps", "frames")
    _check_kinds(plain)
    on_every_device(_sample, plain, 1 if _alone(plain) else ceil(plain["n"] / plain["batch_size"]))


def _sample(plain: dict[str, Any]) -> None:
    path = checkpoint_path(plain["checkpoint"])
    model: Any = apply_options(load(path, resolve_device(plain["device"]), plain["trust"]), plain)
    sequences = isinstance(model, SamplesClips)
    if plain["exchange"] and not sequences:
        raise UserError(
            f"{type(model).__name__} makes no sequences whose contents it could exchange: leave exchange= away."
        )
    if not sequences and not isinstance(model, Samples):
        raise UserError(
            f"{path} holds the model {type(model).__name__}, which makes no pictures from nothing: it cannot sample"
            f"{_instead(model, path)}."
        )
    alone = _sequences if sequences else _alone(plain)
    if alone is None:
        _still(model, plain, Path(plain["output"]))
    elif rank_and_world_size()[0] == 0:
        alone(model, plain, Path(plain["output"]))


def _instead(model: Any, path: Path) -> str:
    """What the model can do."""
    work = "translate" if isinstance(model, Translates) else "predict" if isinstance(model, Predicts) else None
    return f" (python -m gan_lab.{work} checkpoint={path} input=…)" if work else ""


def _alone(plain: dict[str, Any]) -> Callable[[Any, dict[str, Any], Path], None] | None:
    """What one device does for all: a walk through the latents, one along each, pictures step by step."""
    if plain["canvases"]:
        return _unfold
    return _traverse if plain["traverse"] else _walk if _moves(plain) else None


def _moves(plain: dict[str, Any]) -> bool:
    return bool(plain["interpolate"]) or Path(plain["output"]).suffix.lower() in ANIMATIONS


def _check_kinds(plain: dict[str, Any]) -> None:
    if type(plain["canvases"]) is not bool:
        raise UserError(f"canvases={plain['canvases']} does not serve: give true or false.")
    if type(plain["exchange"]) is not int or plain["exchange"] < 0:
        raise UserError(f"exchange={plain['exchange']} does not serve: give a whole number of contents.")
    if type(plain["traverse"]) is not int or plain["traverse"] < 0:
        raise UserError(f"traverse={plain['traverse']} does not serve: give a whole number of latents.")
    if plain["canvases"] and (plain["interpolate"] or plain["traverse"]):
        raise UserError("canvases=true shows how pictures are made: leave interpolate= and traverse= away.")
    if plain["traverse"] and _moves(plain):
        raise UserError("traverse= writes a sheet and nothing that moves: leave interpolate= away, and name a folder.")


def _still(model: Samples, plain: dict[str, Any], output: Path) -> None:
    """Of a model with labels to choose among, all in turn unless one is asked for, and the sheet has a row for each."""
    rank, world = rank_and_world_size()
    sheet: list[Tensor] = []
    num_labels = getattr(model, "num_labels", 0) if plain["label"] is None else 0
    numbers = torch.arange(plain["start"], plain["start"] + plain["n"])
    for part in numbers.split(plain["batch_size"])[rank::world]:
        start, label = int(part[0]), part % num_labels if num_labels else plain["label"]
        images = _pictures(model.sample(len(part), plain["seed"], start, label, plain["truncation"]).cpu())
        if plain["single"]:
            save_images(_folder(output), images, start)
        if plain["grid"]:
            sheet.append(images)
    every = all_gather(sheet)
    if rank:
        return
    if plain["single"]:
        print(f"Wrote {plain['n']} pictures to {_folder(output)}")
    if plain["grid"]:
        path = output if output.suffix.lower() == ".png" else output / "grid.png"
        in_rows = plain["n"] >= 2 * num_labels > 0 and plain["columns"] is None
        # Parts were dealt out in turn.
        pictures = torch.cat([part for turn in zip_longest(*every) for part in turn if part is not None])
        save_png(path, grid_by_label(pictures, numbers % num_labels) if in_rows else grid(pictures, plain["columns"]))
        print(f"Wrote {path}")


def _walk(model: Samples, plain: dict[str, Any], output: Path) -> None:
    if not isinstance(model, Decodes):
        raise UserError(f"{type(model).__name__} has no latent space to walk through: leave interpolate= away.")
    points = plain["interpolate"] or 4
    if points < 2:
        raise UserError(f"interpolate={points} does not serve: a walk needs at least 2 latents.")
    keys = ("seed", "steps", "label", "start", "truncation", "batch_size")
    between = lerp if isinstance(model, Quantizes) else slerp  # a codebook's entries lie on no sphere
    frames = _pictures(interpolate(model, points=points, between=between, **{key: plain[key] for key in keys}))
    write_walk(frames, *_names(output, "interpolation"), plain["fps"])


def _sequences(model: SamplesClips, plain: dict[str, Any], output: Path) -> None:
    """Sequences, or so many contents with the motions of all."""
    _leave_away(model, plain, "makes sequences", interpolate=0, traverse=0, canvases=False, truncation=1)
    how, crossed, label = (plain["frames"], plain["seed"]), plain["exchange"], plain["label"]
    if crossed:
        motions = range(plain["start"], plain["start"] + crossed)
        made = [model.sample_clips(crossed, *how, plain["start"], motion, label) for motion in motions]
        clips = torch.stack([each.cpu() for each in made], 1).flatten(0, 1)  # a content's beside each other
    else:
        parts = torch.arange(plain["start"], plain["start"] + plain["n"]).split(plain["batch_size"])
        clips = torch.cat([model.sample_clips(len(part), *how, int(part[0]), label=label).cpu() for part in parts])
    _write_clips(clips, *_names(output, "sequences"), crossed or None, plain["fps"])


def _leave_away(model: Any, plain: dict[str, Any], does: str, **usual: Any) -> None:
    """Raises UserError for keys that are of no use with what the model does, unless they are as usual."""
    foreign = [f"{key}=" for key, value in {**usual, "single": False}.items() if plain[key] != value]
    if foreign:
        raise UserError(f"{type(model).__name__} {does} here: leave {' and '.join(foreign)} away.")


def _unfold(model: Samples, plain: dict[str, Any], output: Path) -> None:
    """Pictures after every step, in a row each, and side by side as an animation."""
    if not isinstance(model, DrawsStepwise):
        raise UserError(f"{type(model).__name__} makes pictures at once: leave canvases= away.")
    _leave_away(model, plain, "draws step by step", truncation=1)
    parts = torch.arange(plain["start"], plain["start"] + plain["n"]).split(plain["batch_size"])
    drawn = [model.canvases(len(part), plain["seed"], int(part[0]), plain["label"]).cpu() for part in parts]
    _write_clips(torch.cat(drawn), *_names(output, "canvases"), None, plain["fps"])


def _write_clips(clips: Tensor, still: Path, moving: Path, columns: int | None, fps: float) -> None:
    """Clips (N, T, C, H, W) in strips below each other, and side by side as an animation."""
    save_png(still, grid(clips.flatten(0, 1), clips.shape[1]))
    save_animation(moving, torch.stack([grid(frame, columns) for frame in clips.unbind(1)]), fps)
    print(f"Wrote {still} and {moving}")


def _names(output: Path, name: str) -> tuple[Path, Path]:
    """Of a picture and of an animation: one of them as the user calls it, or both in the folder."""
    still = output if output.suffix.lower() == ".png" else _folder(output) / f"{name}.png"
    moving = output if output.suffix.lower() in ANIMATIONS else _folder(output) / f"{name}.gif"
    return still, moving


def write_walk(frames: Tensor, still: Path, moving: Path, fps: float) -> None:
    """Frames (T, C, H, W) in [-1, 1] as a strip and as an animation."""
    save_png(still, strip(frames))
    save_animation(moving, torch.stack([grid(frame[None], pad=0) for frame in frames]), fps)
    print(f"Wrote {still} and {moving}")


def _traverse(model: Samples, plain: dict[str, Any], output: Path) -> None:
    if not isinstance(model, Traverses):
        raise UserError(f"{type(model).__name__} has no latents that could go along one by one: leave traverse= away.")
    around = model.latents(1, plain["seed"], plain["start"], plain["truncation"], plain["label"])
    how = {key: plain[key] for key in ("label", "batch_size")}
    ranked = rank_latents(model, around, **how)
    if len(ranked) < around.shape[1]:
        print(f"Looked at {len(ranked)} of {around.shape[1]:,} latents.")
    numbers = ranked[: plain["traverse"]]
    made = traverse(model, around, numbers, **how)
    path = output if output.suffix.lower() == ".png" else output / "traversal.png"
    save_png(path, grid(_pictures(made.flatten(0, 1)), made.shape[1]))
    print(f"Wrote {path}, in whose rows these latents go from end to end: {', '.join(map(str, numbers.tolist()))}")


def _pictures(made: Tensor) -> Tensor:
    if made.shape[1] not in (1, 3):
        raise UserError(
            f"This model makes no pictures but {made.shape[1]} numbers a pixel, as of points: samples.png in its run's "
            "folder shows them."
        )
    return made


def _folder(output: Path) -> Path:
    return output.parent if output.suffix.lower() in FILES else output
