"""Artefacts of samples: grids, single images, one file of all, traversals."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from math import ceil
from pathlib import Path

import torch
from torch import Tensor

from gan_lab.cli.artifacts import Artifact, Images, Message, Output, Sheet
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import Samples
from gan_lab.common.class_names import class_names
from gan_lab.common.distributed import all_gather, rank_and_world_size
from gan_lab.common.images import grid, grid_by_label, to_uint8
from gan_lab.common.npz import write_npz
from gan_lab.inference.captions import name_rows
from gan_lab.inference.sampling import num_labels, sample_batches


def image_artifacts(
    session: Session,
    model: Samples,
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
        model: what samples: the session's model, or a view of it.
        single: yield each sample.
        sheet: yield the grid.
        columns: of the grid; None for a class in each row, or a nearly square grid.
    """
    rank, world = rank_and_world_size()
    kept: list[Tensor] = []
    batches = sample_batches(model, n, seed, start, label, truncation, batch_size, rank, world)
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


@dataclass(frozen=True)
class Packed(Artifact):
    """Samples in one .npz file, written as they come: rank 0 gets the batches of the others, who take them in turn.

    Args:
        batches: of this rank, (m, C, H, W) in [-1, 1].
        n: the number of samples of all ranks.
        labels: int64 (n,); None for none.
    """

    batches: Iterator[Tensor]
    n: int
    labels: Tensor | None
    of_every_rank = True

    def write(self, output: Output) -> list[Path]:
        """Writes the file (collective)."""
        path = output.path("samples", ".npz")
        if rank_and_world_size()[0]:
            for _ in self._in_turn():
                pass
            return []
        write_npz(path, self.n, self._in_turn(), self.labels)
        return [path]

    def _in_turn(self) -> Iterator[Tensor]:
        """Yields the batches of all ranks in order, uint8 (m, C, H, W) (collective)."""
        while any(found := all_gather([to_uint8(batch) for batch in islice(self.batches, 1)])):
            yield from (batch for each in found for batch in each)


def packed_samples(
    session: Session,
    model: Samples,
    n: int,
    seed: int,
    start: int,
    label: int | None,
    truncation: float,
    batch_size: int,
) -> Packed:
    """Returns samples for one .npz file, with the labels that a conditional model is given."""
    rank, world = rank_and_world_size()
    batches = sample_batches(model, n, seed, start, label, truncation, batch_size, rank, world)
    shown = session.track(batches, "Sampling", ceil(n / batch_size / world))
    classes, labels = num_labels(model), None
    if classes:
        labels = torch.arange(start, start + n) % classes if label is None else torch.full((n,), label)
    return Packed((batch for _, batch in shown), n, labels)


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
