"""Samples from a trained model: ``python -m gan_lab.sample checkpoint=runs/…/last.ckpt n=64``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any

from gan_lab.cli.artifacts import Artifact, Output, clip_artifacts, walk_artifacts
from gan_lab.cli.command import command
from gan_lab.cli.requests import InferenceRequest
from gan_lab.cli.session import Session
from gan_lab.common.bounds import Natural, PositiveFloat, PositiveInt, Share
from gan_lab.common.capabilities import Samples, SamplesClips
from gan_lab.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SampleRequest(InferenceRequest):
    n: PositiveInt
    start: Natural
    label: Annotated[str, Path] | int | None
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
        """True if a walk through latent space is asked for, also by the name of an animation."""
        return bool(self.interpolate) or (self.output is not None and Output(self.output).is_animation)

    @property
    def packs(self) -> bool:
        """True if all samples go into one .npz file."""
        return self.output is not None and Output(self.output).is_npz


def parts(request: SampleRequest) -> int:
    """The number of batches of images; everything else is the work of one device."""
    alone = request.canvases or request.traverse or request.walks or request.exchange
    return 1 if alone else ceil(request.n / request.batch_size)


@command(SampleRequest, needs=Samples | SamplesClips, lacks="cannot sample", example="model=dcgan", parts=parts)
def sample(session: Session, request: SampleRequest) -> Iterator[Artifact]:
    """Samples from a trained model: images, walks through latent space, clips, images step by step."""
    from gan_lab.cli.samples import image_artifacts, traversal_artifacts
    from gan_lab.inference import sampling

    model, label = session.model, session.label(request.label)
    keys: dict[str, Any] = {key: getattr(request, key) for key in ("seed", "start", "batch_size")} | {"label": label}
    if request.packs:
        yield _packed(session, request, label)
        return
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
        yield from traversal_artifacts(
            *sampling.sample_traversal(model, request.traverse, truncation=request.truncation, **keys)
        )
    elif request.walks:
        points = request.interpolate or 4
        frames = sampling.sample_walk(model, points, request.steps, truncation=request.truncation, **keys)
        yield from walk_artifacts(frames, request.fps)
    else:
        how = request.truncation, request.batch_size, request.single, request.grid, request.columns
        yield from image_artifacts(session, request.n, request.seed, request.start, label, *how)


def _packed(session: Session, request: SampleRequest, label: int | None) -> Artifact:
    """Returns all samples as one file.

    Raises:
        UserError: for clips, and for keys of other artefacts.
    """
    from gan_lab.cli.samples import packed_samples

    request.without("A .npz file holds samples", interpolate=0, traverse=0, canvases=False, single=False, exchange=0)
    if isinstance(session.model, SamplesClips):
        raise UserError(f"{session.name} samples clips, and a .npz file holds images: give a folder as output=….")
    keys = (request.n, request.seed, request.start, label, request.truncation, request.batch_size)
    return packed_samples(session, *keys)


if __name__ == "__main__":
    sample()
