"""Sheets and animations that show what a model can do: samples of fixed latents, translations, predictions, walks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.capabilities import (
    Damages,
    Decodes,
    Mixture,
    Predicts,
    RealClips,
    Repairs,
    Samples,
    SamplesClips,
    Stylizes,
    Translates,
    TwoDomains,
)
from gan_lab.common.class_names import class_names
from gan_lab.common.images import grid, scatter_plot, to_float
from gan_lab.common.mixtures import NearestMode
from gan_lab.data.clip_subsets import evenly_spaced_clips
from gan_lab.data.subsets import evenly_spaced, evenly_spaced_numbers
from gan_lab.inference.captions import name_rows
from gan_lab.inference.clip_rows import compared
from gan_lab.inference.interpolation import interpolate
from gan_lab.inference.trained_style import stylised
from gan_lab.inference.translation import SPLIT, ends, translated

POINTS = 2560
"""Samples in a scatter plot."""

MIN_PREDICTIONS = 4
"""Smallest number of clips on a sheet of predictions."""

PREDICTION_COLUMNS, CLIPS = 6, 16
"""Predictions side by side in an animation, and generated clips in one."""

WALKS, STOPS, STEPS = 8, 4, 8
"""Walks side by side in an animation, latents that each passes through, and frames from one latent to the next."""

STYLES = 4
"""Pictures at the heads of columns."""

GREY, BLUE, RED = (200, 200, 200), (30, 80, 200), (210, 40, 40)


@dataclass(frozen=True)
class SheetOptions:
    """Options of a sheet.

    Args:
        n: approximate number of images.
        seed: seed of the latents, or of stochastic translations.
        columns: samples in a row; None makes the grid as square as possible.
    """

    n: int = 64
    seed: int = 0
    columns: int | None = None


DEFAULTS = SheetOptions()


class Animation(NamedTuple):
    """Frames uint8 (T, C, H, W), and a name for what they show: "interpolation", "prediction" or "sequences"."""

    name: str
    frames: Tensor


def sample_sheet(model: Samples, options: SheetOptions = DEFAULTS) -> Tensor:
    """Generates a grid of samples, uint8 (C, H, W); a conditional model has one label in each row, with the name of its
    class, if there are many the first ones.

    Example: ``save_png("samples.png", sample_sheet(model))``
    """
    n, columns, num_labels = options.n, options.columns, getattr(model, "num_labels", 0)
    if not num_labels:
        return grid(model.sample(n, seed=options.seed), columns)
    rows = num_labels if 2 * num_labels <= n else min(num_labels, round(n**0.5))
    columns = columns or n // rows
    labels = torch.arange(rows).repeat_interleave(columns)
    sheet = grid(model.sample(len(labels), seed=options.seed, label=labels), columns)
    return name_rows(sheet, class_names(model)[:rows])


def walk_animation(model: Samples, seed: int = 0) -> Animation | None:
    """Generates closed walks through the latent space, side by side; None if the model has no latent space.

    A conditional model has one label in each walk.
    """
    if not isinstance(model, Decodes):
        return None
    num_labels = getattr(model, "num_labels", 0)
    walks = [
        interpolate(
            model, seed, STOPS, STEPS, number % num_labels if num_labels else None, loop=True, start=number * STOPS
        )
        for number in range(WALKS)
    ]
    frames = torch.stack([grid(frame, columns=WALKS // 2) for frame in torch.stack(walks, 1)])
    return Animation("interpolation", frames)


def clip_sheet(model: SamplesClips, data: RealClips, options: SheetOptions = DEFAULTS) -> Tensor:
    """Generates a grid with one clip in each row, uint8 (C, H, W), with the name of its class if it has one."""
    n, names = max(1, options.n // data.length), class_names(model)
    sheet = grid(model.sample_clips(n, data.length, options.seed).flatten(0, 1), data.length)
    return name_rows(sheet, [names[row % len(names)] for row in range(n)] if names else [])


def clip_animation(model: SamplesClips, data: RealClips, seed: int = 0) -> Animation:
    """Generates clips side by side."""
    clips = model.sample_clips(CLIPS, data.length, seed).cpu()
    return Animation("sequences", torch.stack([grid(frame) for frame in clips.unbind(1)]))


def prediction_sheet(model: Predicts, data: RealClips, options: SheetOptions = DEFAULTS) -> Tensor:
    """Shows each test clip in three rows, uint8 (C, H, W): the clip, the prediction, and the absolute error, white
    where it is large.
    """
    cells = _predicted(model, data, max(MIN_PREDICTIONS, options.n // (3 * data.length)))
    return grid(cells.transpose(0, 1).flatten(0, 2), data.length)


def prediction_animation(model: Predicts, data: RealClips) -> Animation:
    """Shows test clips, their predictions and the absolute errors below each other."""
    rows = _predicted(model, data, PREDICTION_COLUMNS).flatten(0, 1)
    return Animation("prediction", torch.stack([grid(frame, PREDICTION_COLUMNS) for frame in rows.unbind(1)]))


def _predicted(model: Predicts, data: RealClips, count: int) -> Tensor:
    """Returns test clips, their predictions and the errors, float (3, N, T, C, H, W)."""
    clips = to_float(
        torch.cat([part for _, part in evenly_spaced_clips(data, SPLIT, min(count, data.count(SPLIT)), 64)])
    )
    device = getattr(model, "device", "cpu")
    context, truth = clips[:, : model.context_frames], clips[:, model.context_frames :]
    return compared(context, model.predict(context.to(device), truth.shape[1]).cpu(), truth)


def point_sheet(model: Samples, data: Mixture, options: SheetOptions = DEFAULTS) -> Tensor:
    """Plots points of the data in grey and samples on top, uint8 (3, H, W): blue within three deviations of a mode, red
    elsewhere. There are ``POINTS`` of each; of the options only the seed is used.
    """
    n, seed = POINTS, options.seed
    samples, real = model.sample(n, seed=seed).flatten(1).cpu(), data.points(n)
    near = NearestMode(data.centres, data.deviation)(samples[:, :, None, None]) >= 0
    colours = torch.where(near[:, None], torch.tensor(BLUE), torch.tensor(RED))
    return scatter_plot(torch.cat([real, samples]), torch.cat([torch.tensor(GREY).expand(n, -1), colours]))


def restoration_sheet(model: Repairs, data: Damages, options: SheetOptions = DEFAULTS) -> Tensor:
    """Shows test images in threes, uint8 (C, H, W): damaged (small ones enlarged pixel by pixel), restored, clean."""
    count, device = data.count(SPLIT), getattr(model, "device", "cpu")
    n = min(max(1, options.n // 3), count)
    rows, cells = evenly_spaced_numbers(count, n), []
    for start, clean in evenly_spaced(data, SPLIT, n, 16):
        made = data.fixed_damage(clean, rows[start : start + len(clean)].tolist())
        image, known = to_float(made.damaged), None if made.known is None else made.known.float()
        restored = model.repair(image.to(device), None if known is None else known.to(device)).cpu()
        shown = F.interpolate(image, scale_factor=float(data.factor)) if data.factor > 1 else image
        cells += [each for row in zip(shown, restored, to_float(clean), strict=True) for each in row]
    return grid(torch.stack(cells), columns=3 * max(1, round((n / 3) ** 0.5)))


def stylisation_sheet(model: Stylizes, data: TwoDomains, options: SheetOptions = DEFAULTS) -> Tensor:
    """Shows test photographs in the style of test pictures, uint8 (3, H, W), all at the size of the first.

    A row holds a photograph, and the same in the style of the picture at the head of each column. With one picture,
    rows hold several photographs, each beside its stylised version, and the picture comes first.
    """
    device, sides = getattr(model, "device", "cpu"), data.sides
    columns = min(STYLES if model.any_style else 1, sides["b"].count(SPLIT))
    rows = min(max(1, options.n // (columns + 1) - 1), sides["a"].count(SPLIT))
    abreast = max(1, round(((rows + 1) / 2) ** 0.5)) if columns == 1 else 1
    rows = (rows + 1) // abreast * abreast - 1
    photos, pictures = (
        [to_float(pixels).to(device) for _, pixels in evenly_spaced(sides[side], SPLIT, count, 1)]
        for side, count in (("a", rows), ("b", columns))
    )
    cells = [torch.ones_like(photos[0]), *pictures]
    for photo in photos:
        cells += [photo, *(stylised(model, photo, [picture]) for picture in pictures)]
    return grid(torch.cat([_resized(cell.cpu(), photos[0].shape[2:]) for cell in cells]), abreast * (columns + 1))


def translation_sheet(model: Translates, data: TwoDomains, options: SheetOptions = DEFAULTS) -> Tensor:
    """Shows test images, spread evenly over the split, next to their translations, uint8 (C, H, W), all at the size of
    the first.

    A row holds an image of each domain, its translation and its reconstruction; for pairs source, output and target.
    """
    n, seed = options.n, options.seed
    cells = len(model.directions) * (2 + (len(model.directions) > 1 or data.paired))
    count = min(max(1, n // cells), *(data.sides[ends(direction)[0]].count(SPLIT) for direction in model.directions))
    images_a_row = max(1, round((count / cells) ** 0.5))  # makes the sheet about square
    count = count // images_a_row * images_a_row
    shown = [_translation_cells(model, data, direction, count, seed) for direction in model.directions]
    images = [image for each in zip(*shown, strict=True) for row in each for image in row]
    depth = max(image.shape[1] for image in images)
    size = images[0].shape[2:]
    resized = torch.cat([_resized(image, size).expand(-1, depth, -1, -1) for image in images])
    return grid(resized, images_a_row * cells)


def _translation_cells(
    model: Translates, data: TwoDomains, direction: str, count: int, seed: int
) -> Iterator[list[Tensor]]:
    """Yields each image's cells in one direction, (1, 1 or 3, H, W) in [-1, 1]."""
    source, target = ends(direction)
    device = getattr(model, "device", "cpu")
    targets = evenly_spaced(data.sides[target], SPLIT, count, 1)
    for number, pixels in evenly_spaced(data.sides[source], SPLIT, count, 1):
        image = model.domains[source].encode(pixels.to(device))
        output = translated(model, image, target, seed, number)
        cells = [model.domains[source].visualize(image), model.domains[target].visualize(output)]
        if len(model.directions) > 1:
            cells.append(model.domains[source].visualize(translated(model, output, source, seed, number)))
        elif data.paired:
            cells.append(model.domains[target].visualize(model.domains[target].encode(next(targets)[1])))
        yield [cell.cpu() for cell in cells]


def _resized(image: Tensor, size: torch.Size) -> Tensor:
    if image.shape[2:] == size:
        return image
    return F.interpolate(image, tuple(size), mode="bilinear", antialias=True)
