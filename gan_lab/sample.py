"""Samples from a trained model: ``python -m gan_lab.sample checkpoint=runs/…/last.ckpt n=64``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from math import ceil
from typing import TYPE_CHECKING, Any

from gan_lab.cli.artifacts import Artifact, Images, Message, Output, Sheet, clip_artifacts, walk_artifacts
from gan_lab.cli.command import command
from gan_lab.cli.requests import ModelRequest, Natural, PositiveFloat, PositiveInt, Share
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import Samples, SamplesClips
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SampleRequest(ModelRequest):
    n: PositiveInt
    start: Natural
    label: int | None
    truncation: Share
    grid: bool
    single: bool
    columns: PositiveInt | None
    interpolate: Natural
    steps: PositiveInt
    fps: PositiveFloat
    traverse: Natural
    frames: PositiveInt
    exchange: Natural
    canvases: bool
    batch_size: PositiveInt

    @property
    def walks(self) -> bool:
        """Whether a walk through latent space is asked for: also by the name of an animation."""
        return bool(self.interpolate) or (self.output is not None and Output(self.output).is_animation)

    def without(self, reason: str, **usual: Any) -> None:
        """Raises UserError if one of these keys has another value than the usual one."""
        odd = [f"{key}=" for key, value in usual.items() if getattr(self, key) != value]
        if odd:
            raise UserError(f"{reason}: leave out {' and '.join(odd)}.")


def parts(request: SampleRequest) -> int:
    """The number of batches of images; everything else is the work of one device."""
    alone = request.canvases or request.traverse or request.walks or request.exchange
    return 1 if alone else ceil(request.n / request.batch_size)


@command(SampleRequest, needs=Samples | SamplesClips, lacks="cannot sample", example="model=dcgan", parts=parts)
def sample(session: Session, request: SampleRequest) -> Iterator[Artifact]:
    """Samples from a trained model: images, walks through latent space, clips, images step by step."""
    from gan_lab.inference import sampling

    model, keys = session.model, {key: getattr(request, key) for key in ("seed", "start", "label", "batch_size")}
    if request.canvases:
        request.without("canvases=true shows how images are drawn", interpolate=0, traverse=0)
    if request.traverse:
        request.without("traverse= writes one sheet", interpolate=0)
        if request.walks:
            raise UserError("traverse= writes one sheet and no animation: give a folder or a .png as output=….")
    if isinstance(model, SamplesClips):
        request.without(f"{session.name} samples clips", interpolate=0, traverse=0, canvases=False, truncation=1,
                        single=False)  # fmt: skip
        if request.exchange:
            keys.pop("batch_size")
            clips = sampling.exchange_motions(model, request.exchange, request.frames, **keys)
        else:
            clips = sampling.sample_clips(model, request.n, request.frames, **keys)
        yield from clip_artifacts("sequences", clips, request.exchange or None, request.fps)
        return
    request.without(f"{session.name} samples no clips", exchange=0)
    if request.canvases:
        request.without("canvases=true shows how images are drawn", truncation=1, single=False)
        yield from clip_artifacts("canvases", sampling.sample_canvases(model, request.n, **keys), None, request.fps)
    elif request.traverse:
        yield from traversal(*sampling.sample_traversal(model, request.traverse, truncation=request.truncation, **keys))
    elif request.walks:
        points = request.interpolate or 4
        frames = sampling.sample_walk(model, points, request.steps, truncation=request.truncation, **keys)
        yield from walk_artifacts(frames, request.fps)
    else:
        yield from images(session, request, keys)


def images(session: Session, request: SampleRequest, keys: dict[str, Any]) -> Iterator[Artifact]:
    """A grid of all samples, a class in each row if none is asked for, and each sample on its own."""
    import torch

    from gan_lab.common.distributed import all_gather, rank_and_world_size
    from gan_lab.common.images import grid, grid_by_label
    from gan_lab.inference.sampling import num_labels, sample_batches

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


def traversal(moved: Tensor, numbers: Tensor, compared: tuple[int, int]) -> Iterator[Artifact]:
    """Images (K, T, C, H, W), a row for each of the latents."""
    from gan_lab.common.images import grid

    if compared[0] < compared[1]:
        yield Message(f"Compared {compared[0]} of {compared[1]:,} latents.")
    yield Sheet("traversal", grid(moved.flatten(0, 1), moved.shape[1]))
    yield Message(f"The rows move these latents from end to end: {', '.join(map(str, numbers.tolist()))}")


if __name__ == "__main__":
    sample()
