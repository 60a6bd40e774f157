"""Artefacts of samples: grids, single images, traversals."""

from collections.abc import Iterator
from itertools import zip_longest
from math import ceil
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gan_lab.cli.artifacts import Artifact, Images, Message, Sheet
from gan_lab.cli.session import Session
from gan_lab.common.distributed import all_gather, rank_and_world_size
from gan_lab.common.images import grid, grid_by_label
from gan_lab.inference.sampling import num_labels, sample_batches

if TYPE_CHECKING:
    from gan_lab.sample import SampleRequest


def image_artifacts(session: Session, request: "SampleRequest", keys: dict[str, Any]) -> Iterator[Artifact]:
    """A grid of all samples, a class in each row if none is asked for, and each sample on its own."""
    rank, world = rank_and_world_size()
    kept: list[Tensor] = []
    batches = sample_batches(session.model, request.n, truncation=request.truncation, rank=rank, world=world, **keys)
    for first, batch in session.track(batches, "Sampling", ceil(request.n / request.batch_size / world)):
        if request.single:
            yield Images(batch, first)
        kept += [batch] if request.grid else []
    if request.single:
        yield Message(f"Wrote {request.n} images")
    every = all_gather(kept)  # ranks took batches in turn
    if request.grid and not rank:
        together = torch.cat([batch for turn in zip_longest(*every) for batch in turn if batch is not None])
        classes = num_labels(session.model) if request.label is None and request.columns is None else 0
        labels = torch.arange(request.start, request.start + request.n) % max(classes, 1)
        in_rows = request.n >= 2 * classes > 0
        yield Sheet("grid", grid_by_label(together, labels) if in_rows else grid(together, request.columns))


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
