"""The kinds of data: one object each says how the kind is recognised, read, shown, evaluated and written.

A new kind of data is one ``DataKind`` in ``KINDS``; no code elsewhere branches on the kind.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lab.common.atomic import atomic_write
from gan_lab.common.capabilities import (
    Damages,
    LabelledImages,
    Mixture,
    Predicts,
    RealClips,
    RealImages,
    Repairs,
    Samples,
    SamplesClips,
    Stylizes,
    Translates,
    TranslatesAmong,
    TwoDomains,
)
from gan_lab.common.images import save_animation, save_images, to_uint8
from gan_lab.data.clip_subsets import evenly_spaced_clips
from gan_lab.data.subsets import evenly_spaced
from gan_lab.evaluation.data_kind import DEFAULT_N, DataKind, Task
from gan_lab.evaluation.evaluators.clips import clip_sample_evaluator, prediction_evaluator
from gan_lab.evaluation.evaluators.domains import domain_evaluator
from gan_lab.evaluation.evaluators.restorations import restoration_evaluator
from gan_lab.evaluation.evaluators.samples import mode_evaluator, sample_evaluator
from gan_lab.evaluation.evaluators.stylisations import stylisation_evaluator
from gan_lab.evaluation.evaluators.translations import translation_evaluator
from gan_lab.evaluation.features.extractors import Video
from gan_lab.evaluation.features.general import General, default_extractor
from gan_lab.inference.domain_sheet import domain_sheet
from gan_lab.inference.sheets import (
    Animation,
    SheetOptions,
    clip_animation,
    clip_sheet,
    point_sheet,
    prediction_animation,
    prediction_sheet,
    restoration_sheet,
    sample_sheet,
    stylisation_sheet,
    translation_sheet,
    walk_animation,
)

SAMPLES, MODE_SAMPLES, CLIPS, RESTORATIONS = DEFAULT_N, 25_600, 2_000, 1_000
"""Default number of samples, of samples for counting modes (the literature's number), of clips, of restored images."""

CLIPS_AT_ONCE = 64

DEFAULT_SHEET = SheetOptions()


def kind_of(data: object) -> DataKind | None:
    """Returns the kind of a data module, or None if it is of none."""
    return next((kind for kind in KINDS if kind.includes(data)), None)


def task_of(model: object, data: object) -> Task | None:
    """Returns what a model does with its data, or None; a model that samples images needs no data."""
    kind = kind_of(data)
    return (kind.task_of(model) if kind else None) or IMAGES.task_of(model)


def sheet_for(model: object, data: object, options: SheetOptions = DEFAULT_SHEET) -> Callable[[], Tensor] | None:
    """Returns a function that shows what a model does with its data, uint8 (1 or 3, H, W); None if there is nothing.

    A model that samples images needs no data. Example: ``save_png("samples.png", sheet_for(model, data)())``
    """
    task = task_of(model, data)
    return partial(task.sheet, model, data, options) if task else None


def animation_for(model: object, data: object, seed: int = 0) -> Animation | None:
    """Generates an animation of what a model does with its data; None if nothing moves.

    A model of clips predicts or generates clips; a model with a latent space walks through it.
    """
    task = task_of(model, data)
    return task.animation(model, data, seed) if task else None


def kind_of_config(config: Mapping[str, Any]) -> DataKind:
    """Returns the kind of the data module that a configuration describes: images, unless another kind recognises it."""
    return next((kind for kind in KINDS if kind.configured(config)), IMAGES)


def kind_named(name: str) -> DataKind:
    """Returns the kind with a name.

    Raises:
        KeyError: if there is none.
    """
    return {kind.name: kind for kind in KINDS}[name]


def _read_images(data: RealImages, split: str, n: int) -> Tensor:
    """Returns uint8 images (n, C, H, W)."""
    return torch.cat([images for _, images in evenly_spaced(data, split, n)])


def _read_clips(data: RealClips, split: str, n: int) -> Tensor:
    """Returns uint8 clips (n, T, C, H, W)."""
    return torch.cat([clips for _, clips in evenly_spaced_clips(data, split, n, CLIPS_AT_ONCE)])


def _read_points(data: Mixture, _: str, n: int) -> Tensor:
    """Returns points (n, 2, 1, 1): a mixture has no splits."""
    return data.points(n)[:, :, None, None]


def _write_clips(folder: Path, clips: Tensor, start: int = 0) -> None:
    """Writes clips (N, T, C, H, W) in [-1, 1] as animations 000000.gif, 000001.gif …, counted from ``start``."""
    for number, clip in enumerate(clips, start):
        save_animation(folder / f"{number:06d}.gif", to_uint8(clip.detach().cpu()))


def _write_points(folder: Path, points: Tensor, start: int = 0) -> None:
    """Writes points (N, 2, 1, 1) as lines of points.csv: number, x, y."""
    rows = enumerate(points.detach().cpu().flatten(1).tolist(), start)
    with atomic_write(folder / "points.csv") as temporary:
        temporary.write_text("number,x,y\n" + "".join(f"{number},{x:.6g},{y:.6g}\n" for number, (x, y) in rows))


TRANSLATION = Task(
    capability=Translates,
    sheet=translation_sheet,
    evaluator=translation_evaluator,
    command="translate checkpoint={checkpoint} input=… output=…",
)

STYLISATION = Task(
    capability=Stylizes,
    sheet=stylisation_sheet,
    evaluator=stylisation_evaluator,
    command="stylize checkpoint={checkpoint} content=…",
)

UNPAIRED = DataKind(
    name="unpaired",
    description="two domains of unpaired images",
    example="plain2striped",
    protocol=TwoDomains,
    attributes={"paired": False},
    tasks=(TRANSLATION, STYLISATION),
    read=None,
    write=save_images,
    default_extractor=lambda *_: General(),
    configured=lambda config: config.get("paired") is False,
)

PAIRED = DataKind(
    name="paired",
    description="pairs of images",
    example="plain2striped_paired",
    protocol=TwoDomains,
    attributes={"paired": True},
    tasks=(TRANSLATION,),
    read=None,
    write=save_images,
    default_extractor=lambda *_: General(),
    configured=lambda config: config.get("paired") is True,
)

DOMAINS = DataKind(
    name="domains",
    description="images of many domains",
    example="domains",
    protocol=LabelledImages,
    attributes={"among_domains": True},
    tasks=(
        Task(
            capability=TranslatesAmong,
            sheet=domain_sheet,
            evaluator=domain_evaluator,
            command="translate checkpoint={checkpoint} input=… output=… to=…",
        ),
    ),
    read=_read_images,
    write=save_images,
    default_extractor=lambda *_: General(),
    configured=lambda config: "references" in config,
)

DAMAGED = DataKind(
    name="damaged",
    description="images and the same after damage",
    example="restoration",
    protocol=Damages,
    tasks=(
        Task(
            capability=Repairs,
            sheet=restoration_sheet,
            evaluator=restoration_evaluator,
            command="restore checkpoint={checkpoint} input=… output=…",
        ),
    ),
    read=_read_images,
    write=save_images,
    default_n=lambda _: RESTORATIONS,
    default_extractor=lambda *_: General(),
    configured=lambda config: "damage" in config,
)

FRAMES = DataKind(
    name="frames",
    description="clips",
    example="moving_digits",
    protocol=RealClips,
    tasks=(
        Task(
            capability=Predicts,
            sheet=prediction_sheet,
            animation=lambda model, data, _: prediction_animation(model, data),
            evaluator=prediction_evaluator,
            command="predict checkpoint={checkpoint} input=…",
        ),
        Task(
            capability=SamplesClips,
            sheet=clip_sheet,
            animation=clip_animation,
            evaluator=clip_sample_evaluator,
            command="sample checkpoint={checkpoint} n=64",
        ),
    ),
    read=_read_clips,
    write=_write_clips,
    items="clips",
    default_n=lambda _: CLIPS,
    default_extractor=lambda *_: Video(),
    configured=lambda config: "length" in config,
)

POINTS = DataKind(
    name="points",
    description="points of the plane",
    example="gaussians",
    protocol=Mixture,
    tasks=(
        Task(
            capability=Samples,
            sheet=point_sheet,
            evaluator=mode_evaluator,
            command="sample checkpoint={checkpoint} n=64",
        ),
    ),
    read=_read_points,
    write=_write_points,
    items=None,
    default_n=lambda _: MODE_SAMPLES,
    learned_as="image",
    configured=lambda config: "layout" in config,
)

IMAGES = DataKind(
    name="image",
    description="images of one domain",
    example="digits",
    protocol=RealImages,
    tasks=(
        Task(
            capability=Samples,
            sheet=lambda model, _, options: sample_sheet(model, options),
            animation=lambda model, _, seed: walk_animation(model, seed),
            evaluator=sample_evaluator,
            command="sample checkpoint={checkpoint} n=64",
        ),
    ),
    read=_read_images,
    write=save_images,
    default_n=lambda data: MODE_SAMPLES if getattr(data, "stacked", False) else SAMPLES,
    default_extractor=lambda _, data: default_extractor(getattr(data, "name", "")),
)

KINDS: list[DataKind] = [DAMAGED, UNPAIRED, PAIRED, DOMAINS, FRAMES, POINTS, IMAGES]
"""All kinds, in the order in which they are tried."""
