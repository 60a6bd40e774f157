"""Samples of a trained model: images, walks through latent space, clips, images step by step."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gan_lab.common.capabilities import Decodes, DrawsStepwise, Quantizes, Samples, SamplesClips, Traverses
from gan_lab.common.errors import UserError
from gan_lab.inference.interpolation import interpolate, lerp, slerp
from gan_lab.inference.styles import StyledSamples
from gan_lab.inference.traversal import rank_latents, traverse


def sample_batches(
    model: Samples,
    n: int,
    seed: int = 0,
    start: int = 0,
    label: int | None = None,
    truncation: float = 1.0,
    batch_size: int = 64,
    rank: int = 0,
    world: int = 1,
) -> Iterator[tuple[int, Tensor]]:
    """Yields samples start … start + n - 1 of a seed in batches: the number of the first one, and images
    (m, C, H, W) in [-1, 1] on the CPU. Ranks take batches in turn.

    Args:
        label: a class for all; None takes the classes of a conditional model in turn, sample i of class i mod K.

    Raises:
        UserError: if the model's samples are no images.
    """
    classes = num_labels(model) if label is None else 0
    numbers = torch.arange(start, start + n)
    for part in numbers.split(batch_size)[rank::world]:
        first, labels = int(part[0]), part % classes if classes else label
        yield first, viewable(model.sample(len(part), seed, first, labels, truncation).cpu())


def num_labels(model: Samples) -> int:
    """The number of labels to choose among; 0 for an unconditional model."""
    return int(getattr(model, "num_labels", 0))


def viewable(images: Tensor) -> Tensor:
    """Returns images (N, C, H, W) as they are.

    Raises:
        UserError: if they are not grey or RGB.
    """
    if images.shape[1] not in (1, 3):
        raise UserError(
            f"This model generates no images but {images.shape[1]} numbers per pixel, such as points in the plane: see "
            "samples.png in its run's folder."
        )
    return images


def sample_walk(
    model: Samples,
    points: int = 4,
    steps: int = 12,
    seed: int = 0,
    start: int = 0,
    label: int | None = None,
    truncation: float = 1.0,
    batch_size: int = 64,
    loop: bool = False,
) -> Tensor:
    """Returns images (T, C, H, W) in [-1, 1] on a walk through samples start … start + points - 1 of a seed.

    With ``loop`` it returns to the first, so that an animation of it has no end.

    Raises:
        UserError: if the model has no latent space, or there are fewer than two points.
    """
    if not isinstance(model, Decodes):
        raise UserError(f"{type(model).__name__} has no latent space to walk through: leave out interpolate=….")
    if points < 2:
        raise UserError(f"interpolate={points} is not valid: a walk needs at least 2 latents.")
    # Neither the entries of a codebook nor styles lie on a sphere.
    between = lerp if isinstance(model, Quantizes | StyledSamples) else slerp
    return viewable(interpolate(model, seed, points, steps, label, loop, between, batch_size, start, truncation))


def sample_traversal(
    model: Samples,
    count: int,
    seed: int = 0,
    start: int = 0,
    label: int | None = None,
    truncation: float = 1.0,
    batch_size: int = 64,
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Moves the latents that change a sample most, one at a time from one end of their range to the other.

    Returns:
        images (K, T, C, H, W) in [-1, 1], the numbers (K,) of the latents, and how many of how many were compared.

    Raises:
        UserError: if the model has no latents that move one by one.
    """
    if not isinstance(model, Traverses):
        raise UserError(f"{type(model).__name__} has no latents to move one by one: leave out traverse=….")
    around = model.latents(1, seed, start, truncation, label)
    ranked = rank_latents(model, around, label=label, batch_size=batch_size)
    images = traverse(model, around, ranked[:count], label=label, batch_size=batch_size)
    viewable(images.flatten(0, 1))
    return images, ranked[:count], (len(ranked), around.shape[1])


def sample_clips(
    model: SamplesClips,
    n: int,
    frames: int,
    seed: int = 0,
    start: int = 0,
    label: int | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Returns clips start … start + n - 1 of a seed, (n, frames, C, H, W) in [-1, 1], on the CPU."""
    parts = torch.arange(start, start + n).split(batch_size)
    return torch.cat([model.sample_clips(len(part), frames, seed, int(part[0]), label=label).cpu() for part in parts])


def exchange_motions(
    model: SamplesClips, count: int, frames: int, seed: int = 0, start: int = 0, label: int | None = None
) -> Tensor:
    """Returns ``count`` contents, each with the motions of all: (count², frames, C, H, W) in [-1, 1], the clips of one
    content after each other.
    """
    motions = range(start, start + count)
    clips = [model.sample_clips(count, frames, seed, start, motion, label).cpu() for motion in motions]
    return torch.stack(clips, 1).flatten(0, 1)


def sample_canvases(
    model: Samples, n: int, seed: int = 0, start: int = 0, label: int | None = None, batch_size: int = 64
) -> Tensor:
    """Returns samples start … start + n - 1 of a seed after each step, (n, T, C, H, W) in [-1, 1], on the CPU.

    Raises:
        UserError: if the model generates images in one step.
    """
    if not isinstance(model, DrawsStepwise):
        raise UserError(f"{type(model).__name__} generates images in one step: leave out canvases=….")
    parts = torch.arange(start, start + n).split(batch_size)
    return torch.cat([model.canvases(len(part), seed, int(part[0]), label).cpu() for part in parts])
