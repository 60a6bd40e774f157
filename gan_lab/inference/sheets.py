"""The sheet that shows where a run stands: samples of fixed latents, or fixed test pictures and their translations."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.common.capabilities import (
    Decodes,
    Mixture,
    Predicts,
    RealClips,
    Samples,
    SamplesClips,
    Translates,
    TwoDomains,
)
from gan_lab.common.images import grid, scatter_plot, to_float
from gan_lab.common.mixtures import NearestMode
from gan_lab.data.clip_subsets import spread_clips
from gan_lab.data.subsets import spread
from gan_lab.inference.clip_rows import compared
from gan_lab.inference.interpolation import interpolate
from gan_lab.inference.translation import SPLIT, ends, translated

POINTS = 2560
"""Samples in a scatter picture."""

PREDICTED = 4
"""Clips at least, on the sheet of predictions."""

SIDE_BY_SIDE, ABREAST = 6, 16
"""Predictions in an animation, and sequences."""

WALKS, STOPS, STEPS = 8, 4, 8
"""Side by side, latents passed through by each, and pictures from each of them to the next."""

GREY, BLUE, RED = (200, 200, 200), (30, 80, 200), (210, 40, 40)

Sheet = Callable[[], Tensor]
"""Makes the picture, uint8 (1 or 3, H, W), from the model as it is."""


def sheet_for(model: Any, data: Any, n: int, seed: int, columns: int | None) -> Sheet | None:
    """The sheet that suits this model and data; None where it has nothing to show.

    Args:
        n: pictures in it, about.
        columns: samples in a row; None makes the grid as square as it can be.
    """
    if isinstance(model, Translates) and isinstance(data, TwoDomains):
        return lambda: _translations(model, data, n, seed)
    if isinstance(model, Samples) and isinstance(data, Mixture):
        return lambda: _scatter(model, data, POINTS, seed)
    if isinstance(model, Predicts) and isinstance(data, RealClips):
        return lambda: _predictions(model, data, n)
    if isinstance(model, SamplesClips) and isinstance(data, RealClips):
        return lambda: _sequences(model, data.length, max(1, n // data.length), seed)
    if isinstance(model, Samples):
        return lambda: _samples(model, n, seed, columns)
    return None


def moving_for(model: Any, data: Any, seed: int) -> tuple[str, Tensor] | None:
    """What of this model and data moves, and what it is called: frames uint8 (T, C, H, W). None where nothing does."""
    if isinstance(model, Predicts) and isinstance(data, RealClips):
        cells = _continued(model, data, SIDE_BY_SIDE).flatten(0, 1)
        return "prediction", torch.stack([grid(frame, columns=SIDE_BY_SIDE) for frame in cells.unbind(1)])
    if isinstance(model, SamplesClips) and isinstance(data, RealClips):
        clips = model.sample_clips(ABREAST, data.length, seed).cpu()
        return "sequences", torch.stack([grid(frame) for frame in clips.unbind(1)])
    if isinstance(model, Decodes) and not isinstance(data, Mixture):
        return "interpolation", _walks(model, seed)
    return None


def _walks(model: Decodes, seed: int) -> Tensor:
    """Walks through the latent space that come back to their beginnings, side by side; a model with labels to choose
    among has a label a walk.
    """
    num_labels = getattr(model, "num_labels", 0)
    walks = [
        interpolate(
            model, seed, STOPS, STEPS, number % num_labels if num_labels else None, loop=True, start=number * STOPS
        )
        for number in range(WALKS)
    ]
    return torch.stack([grid(frame, columns=WALKS // 2) for frame in torch.stack(walks, 1)])


def _samples(model: Samples, n: int, seed: int, columns: int | None) -> Tensor:
    """A model whose attribute ``num_labels`` counts labels to choose among shows one in each row; of many the first ones."""
    num_labels = getattr(model, "num_labels", 0)
    if not num_labels:
        return grid(model.sample(n, seed=seed), columns)
    rows = num_labels if 2 * num_labels <= n else min(num_labels, round(n**0.5))
    columns = columns or n // rows
    labels = torch.arange(rows).repeat_interleave(columns)
    return grid(model.sample(len(labels), seed=seed, label=labels), columns)


def _sequences(model: SamplesClips, steps: int, n: int, seed: int) -> Tensor:
    """Sequences in a row each."""
    return grid(model.sample_clips(n, steps, seed).flatten(0, 1), steps)


def _predictions(model: Predicts, data: RealClips, n: int) -> Tensor:
    """Test clips in three rows each: what came, what was predicted, and the error, white where it is large."""
    cells = _continued(model, data, max(PREDICTED, n // (3 * data.length)))
    return grid(cells.transpose(0, 1).flatten(0, 2), data.length)


def _continued(model: Predicts, data: RealClips, count: int) -> Tensor:
    """Test clips beside what is predicted of them, and the error, float (3, N, T, C, H, W)."""
    clips = to_float(torch.cat([part for _, part in spread_clips(data, SPLIT, min(count, data.count(SPLIT)), 64)]))
    device = getattr(model, "device", "cpu")
    given, truth = clips[:, : model.context_frames], clips[:, model.context_frames :]
    return compared(given, model.predict(given.to(device), truth.shape[1]).cpu(), truth)


def _scatter(model: Samples, data: Mixture, n: int, seed: int) -> Tensor:
    """Points of the data in grey, and on them samples: blue within three deviations of a centre, red elsewhere."""
    made, real = model.sample(n, seed=seed).flatten(1).cpu(), data.points(n)
    good = NearestMode(data.centres, data.deviation)(made[:, :, None, None]) >= 0
    colours = torch.where(good[:, None], torch.tensor(BLUE), torch.tensor(RED))
    return scatter_plot(torch.cat([real, made]), torch.cat([torch.tensor(GREY).expand(n, -1), colours]))


def _translations(model: Translates, data: TwoDomains, n: int, seed: int) -> Tensor:
    """Test pictures spread over the set, each beside what becomes of it: both domains' pictures, their translations and
    the ways back from those; of pairs the source, the output and the target. All at the size of the first.
    """
    cells = len(model.directions) * (2 + (len(model.directions) > 1 or data.paired))
    count = min(max(1, n // cells), *(data.sides[ends(way)[0]].count(SPLIT) for way in model.directions))
    abreast = max(1, round((count / cells) ** 0.5))  # about as wide as high
    shown = [_columns(model, data, way, count // abreast * abreast, seed) for way in model.directions]
    pictures = [picture for each in zip(*shown, strict=True) for own in each for picture in own]
    depth = max(picture.shape[1] for picture in pictures)
    size = pictures[0].shape[2:]
    return grid(torch.cat([_fitted(picture, size).expand(-1, depth, -1, -1) for picture in pictures]), abreast * cells)


def _columns(model: Translates, data: TwoDomains, way: str, count: int, seed: int) -> Iterator[list[Tensor]]:
    """One direction's cells of each picture, (1, 1 or 3, H, W) in [-1, 1]."""
    source, target = ends(way)
    device = getattr(model, "device", "cpu")
    own = spread(data.sides[target], SPLIT, count, 1)
    for number, pixels in spread(data.sides[source], SPLIT, count, 1):
        given = model.domains[source].encode(pixels.to(device))
        made = translated(model, given, target, seed, number)
        cells = [model.domains[source].visualize(given), model.domains[target].visualize(made)]
        if len(model.directions) > 1:
            cells.append(model.domains[source].visualize(translated(model, made, source, seed, number)))
        elif data.paired:
            cells.append(model.domains[target].visualize(model.domains[target].encode(next(own)[1])))
        yield [cell.cpu() for cell in cells]


def _fitted(picture: Tensor, size: torch.Size) -> Tensor:
    if picture.shape[2:] == size:
        return picture
    return F.interpolate(picture, tuple(size), mode="bilinear", antialias=True)
