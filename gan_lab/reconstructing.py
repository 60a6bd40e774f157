"""Pictures that a trained model makes again, or completes: the work behind ``gan_lab.reconstruct``."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from gan_lab.cli.config.checks import check_sampling
from gan_lab.cli.config.compose import resolve
from gan_lab.cli.inputs import data_of
from gan_lab.common.capabilities import (
    Decodes,
    Encodes,
    HasPosterior,
    RealImages,
    Reconstructs,
    Restores,
    Samples,
    Translates,
)
from gan_lab.common.device import resolve_device
from gan_lab.common.domains import Domain
from gan_lab.common.errors import UserError
from gan_lab.common.images import grid_by_label, save_images, save_png, to_float
from gan_lab.common.precision import full_precision
from gan_lab.common.runs import checkpoint_path
from gan_lab.data.loading.batches import ONCE
from gan_lab.data.loading.binary import drawn
from gan_lab.data.loading.splits import SPLITS, WHOLE, sides
from gan_lab.data.reading.files import ENDINGS, Files
from gan_lab.data.reading.pictures import MODES, Damaged, Decoded, Frame
from gan_lab.data.subsets import some, spread, spread_numbers
from gan_lab.evaluation.features.perceptual import SMALLEST, ssim
from gan_lab.evaluation.metrics.reconstruction import mse, psnr
from gan_lab.inference.file_jobs import plan
from gan_lab.inference.interpolation import lerp, slerp, walk
from gan_lab.inference.sampling import write_walk
from gan_lab.training.checkpoint import load, read
from gan_lab.training.trainer import apply_options

HIDDEN = ("bottom", "top", "left", "right", "center")
GREY = 0.0


@dataclass(frozen=True)
class Given:
    """What a model is shown.

    Args:
        images: float32 (N, C, H, W) in [-1, 1].
        label: a class for all, their classes (N,), or None.
    """

    images: Tensor
    label: int | Tensor | None

    def first(self, n: int) -> "Given":
        return Given(self.images[:n], self._labels(slice(n)))

    def parts(self, size: int, device: torch.device) -> Iterator[tuple[int, Tensor, int | Tensor | None]]:
        """The number of each part's first picture, its pictures on the device, and their labels."""
        for start in range(0, len(self.images), size):
            rows = slice(start, start + size)
            yield start, self.images[rows].to(device), self._labels(rows)

    def _labels(self, rows: slice) -> int | Tensor | None:
        return self.label[rows] if isinstance(self.label, Tensor) else self.label


def reconstruct(config: DictConfig) -> None:
    """Writes a sheet of given pictures and of what a model makes of them, and says how near these are.

    Raises:
        UserError: if the model cannot do what is asked, a key does not serve, or there are no pictures.
    """
    plain = resolve(config)
    _check(plain)
    path, output = checkpoint_path(plain["checkpoint"]), Path(plain["output"]).expanduser()
    model = apply_options(load(path, resolve_device(plain["device"]), plain["trust"]), plain)
    _check_model(model, path, plain)
    given = _of_data(path, model, plain) if plain["input"] is None else _of_files(path, plain)
    if plain["interpolate"] > len(given.images):
        raise UserError(f"interpolate={plain['interpolate']} does not serve: there are {len(given.images)} pictures.")
    with torch.no_grad(), full_precision():
        made, rows = _again(model, given, plain) if plain["hide"] is None else _completed(model, given, plain)
        save_png(output / "sheet.png", sheet(rows, plain["columns"]))
        print(f"Wrote {output / 'sheet.png'}")
        if plain["single"]:
            save_images(output, made)
            print(f"Wrote {len(made)} pictures to {output}")
        if plain["interpolate"]:
            _walk(model, given.first(plain["interpolate"]), plain, output)


def _check(plain: Mapping[str, Any]) -> None:
    """Before anything is read."""
    check_sampling({"truncation": 1.0, **plain}, "n", "batch_size", "samples", "steps", "columns")
    for key, choices in (("split", (*SPLITS, WHOLE)), ("hide", (None, *HIDDEN))):
        if plain[key] not in choices:
            raise UserError(f"{key}={plain[key]} does not serve: give one of {', '.join(filter(None, choices))}.")
    if type(plain["interpolate"]) is not int or plain["interpolate"] < 0 or plain["interpolate"] == 1:
        raise UserError(f"interpolate={plain['interpolate']} does not serve: a walk needs at least 2 pictures.")
    if Path(plain["output"]).suffix.lower() in ENDINGS:
        raise UserError(
            f"output={plain['output']} is one picture's name, and several files are written: give a folder."
        )


def _check_model(model: Any, path: Path, plain: Mapping[str, Any]) -> None:
    """Raises UserError for a model that cannot do what is asked."""
    lacks = None
    if not isinstance(model, Reconstructs | Restores):
        lacks = f"neither encodes pictures nor completes them: {_instead(model, path)}"
    elif plain["hide"] is None and not isinstance(model, Reconstructs):
        lacks = "completes pictures, but has no encoder to make whole ones again by: give hide=bottom"
    elif plain["hide"] is not None and not isinstance(model, Restores):
        lacks = "makes whole pictures again, but cannot complete them: leave hide= away"
    elif plain["interpolate"] and not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        lacks = "has no encodings of pictures to walk between: leave interpolate= away"
    if lacks:
        raise UserError(f"{path} holds the model {type(model).__name__}, which {lacks}.")


def _instead(model: Any, path: Path) -> str:
    """What the model can do."""
    if isinstance(model, Translates):
        return f"python -m gan_lab.translate checkpoint={path} input=… carries them to another domain"
    if isinstance(model, Samples):
        return f"python -m gan_lab.sample checkpoint={path} makes new ones with it"
    return "train model=vae, say"


def _of_data(path: Path, model: Any, plain: dict[str, Any]) -> Given:
    """Pictures that are spread over a split of the data the model learned from, with the classes it is told."""
    data = data_of(path, plain)
    if not isinstance(data, RealImages):
        raise UserError(f"The data of {path} are not pictures of one kind, which a sheet could show: give input=….")
    split, label = plain["split"], plain["label"]
    n, classes = some(data, split, plain["n"]), getattr(model, "classes", 0)
    if label is None and classes and hasattr(data, "labels"):
        label = data.labels(split)[spread_numbers(data.count(split), n)]
    return Given(to_float(torch.cat([images for _, images in spread(data, split, n)])), label)


def _of_files(path: Path, plain: Mapping[str, Any]) -> Given:
    """Pictures of the user's, as the model's data are: of their size and channels, and two-coloured where they are."""
    node = read(path)["gan_lab"].get("data") or {}
    if node.get("channels") not in MODES or not node.get("size"):
        raise UserError(f"{path} does not say of what size and colour its pictures are: leave input= away.")
    frame = Frame(sides(node["size"]), sides(node["size"]), node["channels"])
    jobs, _ = plan(Path(plain["input"]).expanduser(), Path(plain["output"]).expanduser(), Domain(frame.channels))
    chosen = [jobs[number].entry for number in spread_numbers(len(jobs), min(plain["n"], len(jobs))).tolist()]
    found = list(Files(chosen).render(frame))
    for damaged in (each for each in found if isinstance(each, Damaged)):
        print(f"left out {damaged.name}: {damaged.reason}")
    for note, count in Counter(note for each in found if isinstance(each, Decoded) for note in each.notes).items():
        print(f"{note} ({count})")
    pictures = [each.pixels for each in found if not isinstance(each, Damaged)]
    if not pictures:
        raise UserError(
            f"No picture of input={plain['input']} can be read: give a picture, or a folder or zip of them."
        )
    pixels = np.stack(pictures)
    if node.get("binarize"):
        pixels = drawn(pixels, np.arange(len(pixels)), node.get("binarize_seed", 0), ONCE)
        print("The model learned from pictures in black and white, drawn by chance from grey ones: so are these.")
    return Given(to_float(torch.from_numpy(pixels)), plain["label"])


def _again(model: Reconstructs, given: Given, plain: Mapping[str, Any]) -> tuple[Tensor, list[Tensor]]:
    """Reconstructions (N, C, H, W), and the rows of the sheet: originals, reconstructions, what is wrong in white."""
    parts = given.parts(plain["batch_size"], resolve_device(plain["device"]))
    real, made = given.images, torch.cat([model.reconstruct(images, label).cpu() for _, images, label in parts])
    figures = [f"MSE {mse(made, real).mean():.4f}", f"PSNR {psnr(made, real).mean():.2f} dB"]
    figures += [f"SSIM {ssim(made, real).mean():.3f}"] if min(real.shape[2:]) >= SMALLEST["ssim"] else []
    print(f"Reconstructed {len(real)} pictures: {', '.join(figures)} on average")
    return made, [real, made, (made - real).abs() - 1]


def _completed(model: Restores, given: Given, plain: Mapping[str, Any]) -> tuple[Tensor, list[Tensor]]:
    """Completions (S·N, C, H, W) by one seed after the other, and the rows of the sheet: originals, what was given of
    them, completions.
    """
    real, known = given.images, known_part(plain["hide"], *given.images.shape[2:])
    seeds = range(plain["seed"], plain["seed"] + plain["samples"])
    each = [_completions(model, given, known, seed, plain) for seed in seeds]
    share = 1 - known.mean().item()
    error = torch.stack([mse(made, real) for made in each]).mean().item() / share
    count = f"{len(each)} × {len(real)} pictures"
    print(f"Completed {count} with the {plain['hide']} hidden: MSE {error:.4f} there on average")
    return torch.cat(each), [real, torch.where(known > 0, real, GREY), *each]


def _completions(model: Restores, given: Given, known: Tensor, seed: int, plain: Mapping[str, Any]) -> Tensor:
    device, found = resolve_device(plain["device"]), []
    for start, images, label in given.parts(plain["batch_size"], device):
        seen, mask = torch.where(known.to(device) > 0, images, GREY), known.to(device).expand(len(images), -1, -1, -1)
        found.append(model.restore(seen, mask, label, seed, start).cpu())
    return torch.cat(found)


def known_part(hidden: str, height: int, width: int) -> Tensor:
    """A mask (1, H, W): 0 in that half of a picture, or in half its height and width about the center, else 1."""
    rows = {"bottom": slice(height // 2, None), "top": slice(height // 2), "center": _middle(height)}
    columns = {"right": slice(width // 2, None), "left": slice(width // 2), "center": _middle(width)}
    known = torch.ones(1, height, width)
    known[:, rows.get(hidden, slice(None)), columns.get(hidden, slice(None))] = 0
    return known


def _middle(length: int) -> slice:
    return slice(length // 4, length - length // 4)


def sheet(rows: Sequence[Tensor], columns: int) -> Tensor:
    """Rows of the same N pictures, each (N, C, H, W), in blocks so many columns wide, uint8 (C, H', W')."""
    block = torch.arange(len(rows[0])) // columns * len(rows)
    return grid_by_label(torch.cat([*rows]), torch.cat([block + row for row in range(len(rows))]))


def _walk(model: Any, given: Given, plain: Mapping[str, Any], output: Path) -> None:
    parts = given.parts(plain["batch_size"], resolve_device(plain["device"]))
    encoded = torch.cat([model.encode(images, label) for _, images, label in parts])
    between = slerp if isinstance(model, HasPosterior) else lerp  # what is no Gaussian has no sphere to stay on
    frames = walk(model, encoded, plain["steps"], given.label, False, between, plain["batch_size"])
    write_walk(frames, output / "interpolation.png", output / "interpolation.gif", plain["fps"])
