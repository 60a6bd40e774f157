"""Artefacts of samples: grids, single images, traversals."""

from collections.abc import Iterator
from itertools import zip_longest
from math import ceil

import torch
from torch import Tensor

from gan_lab.cli.artifacts import Artifact, Images, Message, Sheet
from gan_lab.cli.session import Session
from gan_lab.common.class_names import class_names
from gan_lab.common.distributed import all_gather, rank_and_world_size
from gan_lab.common.images import grid, grid_by_label
from gan_lab.inference.captions import name_rows
from gan_lab.inference.sampling import num_labels, sample_batches


def image_artifacts(
    session: Session,
    n: int,
    seed: int,
    start: int,
    label: int | None,
    truncation: float,
    batch_size: int,
    single: bool,
    sheet: bool,
    columns: int | None,
) -> Iterator[Artifact]:
    """Yields a grid of samples, a class in each row if no label is asked for, and each sample on its own.

    Args:
        single: yield each sample.
        sheet: yield the grid.
        columns: of the grid; None for a class in each row, or a nearly square grid.
    """
    rank, world = rank_and_world_size()
    kept: list[Tensor] = []
    batches = sample_batches(session.model, n, seed, start, label, truncation, batch_size, rank, world)
    for first, batch in session.track(batches, "Sampling", ceil(n / batch_size / world)):
        if single:
            yield Images(batch, first)
        kept += [batch] if sheet else []
    if single:
        yield Message(f"Wrote {n} images")
    every = all_gather(kept)  # ranks took batches in turn
    if sheet and not rank:
        together = torch.cat([batch for turn in zip_longest(*every) for batch in turn if batch is not None])
        classes = num_labels(session.model) if label is None and columns is None else 0
        labels = torch.arange(start, start + n) % max(classes, 1)
        if n >= 2 * classes > 0:
            yield Sheet("grid", name_rows(grid_by_label(together, labels), class_names(session.model)))
        else:
            yield Sheet("grid", grid(together, columns))


def traversal_artifacts(moved: Tensor, numbers: Tensor, compared: tuple[int, int]) -> Iterator[Artifact]:
    """The sheet of a traversal, and which latents it moves.

    Args:
        moved: images (K, T, C, H, W) in [-1, 1], a row for each latent.
        numbers: of the latents, (K,).
        compared: how many latents were compared, of how many.
    """
    if compared[0] < compared[1]:
        yield Message(f"Compared {compared[0]} of {compared[1]:,} latents.")
    yield Sheet("traversal", grid(moved.flatten(0, 1), moved.shape[1]))
    yield Message(f"The rows move these latents from end to end: {', '.join(map(str, numbers.tolist()))}")
