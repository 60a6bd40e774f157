"""Samples from a trained model: ``python -m gan_lab.sample checkpoint=runs/…/last.ckpt n=64``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from gan_lab.cli.artifacts import Artifact, Output, clip_artifacts, walk_artifacts
from gan_lab.cli.command import command
from gan_lab.cli.requests import InferenceRequest
from gan_lab.cli.session import Session
from gan_lab.common.bounds import Natural, PositiveFloat, PositiveInt, Share
from gan_lab.common.capabilities import Samples, SamplesClips, Styles
from gan_lab.common.errors import UserError

CANVASES = 16
"""Steps of a drawing that a sheet shows at most."""


@dataclass(frozen=True, kw_only=True)
class SampleRequest(InferenceRequest):
    n: PositiveInt
    start: Natural
    label: Annotated[str, Path] | int | None
    truncation: Share
    truncation_cutoff: PositiveInt | None
    space: Literal["z", "w"]
    layer_noise: Literal["constant", "random", "none"]
    mix: Natural
    mix_layers: PositiveInt | None
    grid: bool
    single: bool
    columns: PositiveInt | None
    interpolate: Natural
    steps: PositiveInt
    loop: bool
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
    alone = request.canvases or request.traverse or request.walks or request.exchange or request.mix
    return 1 if alone else ceil(request.n / request.batch_size)


@command(SampleRequest, needs=Samples | SamplesClips, lacks="cannot sample", example="model=dcgan", parts=parts)
def sample(session: Session, request: SampleRequest) -> Iterator[Artifact]:
    """Samples from a trained model: images, walks through latent space, clips, images step by step."""
    from gan_lab.cli.samples import image_artifacts, traversal_artifacts
    from gan_lab.inference import sampling

    model, label = session.model, session.label(request.label)
    keys: dict[str, Any] = {key: getattr(request, key) for key in ("seed", "start", "batch_size")} | {"label": label}
    samples = _view(session, request)
    if request.packs:
        yield _packed(session, samples, request, label)
        return
    if request.mix:
        yield _mixed(samples, request, label)
        return
    if request.canvases:
        request.without("canvases=true shows how images are drawn", interpolate=0, traverse=0)
    if request.traverse:
        request.without("traverse= writes one sheet", interpolate=0, loop=False)
        if isinstance(model, Styles):
            request.without("traverse= moves latents, and truncation is one of styles", truncation=1)
        if request.walks:
            raise UserError("traverse= writes one sheet and no animation: give a folder or a .png as output=….")
    if isinstance(model, SamplesClips):
        yield from _clips(session, request, keys)
        return
    request.without(f"{session.name} samples no clips", exchange=0)
    if request.canvases:
        request.without("canvases=true shows how images are drawn", truncation=1, single=False)
        canvases = sampling.sample_canvases(model, request.n, **keys)
        yield from clip_artifacts("canvases", canvases, None, request.fps, CANVASES)
    elif request.traverse:
        yield from traversal_artifacts(
            *sampling.sample_traversal(samples, request.traverse, truncation=request.truncation, **keys)
        )
    elif request.walks:
        points = request.interpolate or 4
        frames = sampling.sample_walk(
            samples, points, request.steps, truncation=request.truncation, loop=request.loop, **keys
        )
        yield from walk_artifacts(frames, request.fps)
    else:
        request.without("interpolate= is not given", loop=False)
        how = request.truncation, request.batch_size, request.single, request.grid, request.columns
        yield from image_artifacts(session, samples, request.n, request.seed, request.start, label, *how)


def _clips(session: Session, request: SampleRequest, keys: dict[str, Any]) -> Iterator[Artifact]:
    """Yields sequences, or contents with the motions of others.

    Raises:
        UserError: for keys of images.
    """
    from gan_lab.inference import sampling

    request.without(f"{session.name} samples clips", interpolate=0, traverse=0, canvases=False, truncation=1,
                    single=False)  # fmt: skip
    if request.exchange:
        keys.pop("batch_size")
        clips = sampling.exchange_motions(session.model, request.exchange, request.frames, **keys)
    else:
        clips = sampling.sample_clips(session.model, request.n, request.frames, **keys)
    yield from clip_artifacts("sequences", clips, request.exchange or None, request.fps)


def _view(session: Session, request: SampleRequest) -> Any:
    """Returns the model, or its samples by styles if one of their keys is given.

    Raises:
        UserError: for these keys of a model without styles, and for the space of samples that are not walked through.
    """
    from gan_lab.inference.styles import StyledLatents, StyledSamples

    usual = {"truncation_cutoff": None, "space": "z", "layer_noise": "constant", "mix": 0, "mix_layers": None}
    walks_in_z = request.walks and request.space == "z" and not (request.traverse or request.mix)
    styled = isinstance(session.model, Styles) and walks_in_z and request.truncation != 1
    if not styled and all(getattr(request, key) == value for key, value in usual.items()):
        return session.model
    if not isinstance(session.model, Styles):
        request.without(f"{session.name} has no styles", **usual)
    if request.traverse:
        request.without("traverse= moves latents", **usual)
    if not request.walks:
        request.without("interpolate= is not given", space="z")
    if not request.mix:
        request.without("mix= is not given", mix_layers=None)
    if request.truncation == 1:
        request.without("truncation= is not given", truncation_cutoff=None)
    if walks_in_z:
        return StyledLatents(session.model, request.truncation, request.truncation_cutoff, request.layer_noise)
    return StyledSamples(session.model, request.truncation_cutoff, request.layer_noise)


def _mixed(samples: Any, request: SampleRequest, label: int | None) -> Artifact:
    """Returns the sheet of mixed styles.

    Raises:
        UserError: for keys of other artefacts.
    """
    from gan_lab.cli.artifacts import Sheet
    from gan_lab.common.images import grid
    from gan_lab.inference.styles import mix_styles

    request.without("mix= writes one sheet", interpolate=0, single=False, canvases=False, exchange=0, loop=False)
    if request.walks:
        raise UserError("mix= writes one sheet and no animation: give a folder or a .png as output=….")
    how = request.mix_layers, request.seed, request.start, label, request.truncation, request.batch_size
    return Sheet("mixed", grid(mix_styles(samples, request.mix, *how).flatten(0, 1), request.mix + 1))


def _packed(session: Session, samples: Any, request: SampleRequest, label: int | None) -> Artifact:
    """Returns all samples as one file.

    Raises:
        UserError: for clips, and for keys of other artefacts.
    """
    from gan_lab.cli.samples import packed_samples

    request.without("A .npz file holds samples", interpolate=0, traverse=0, canvases=False, single=False, exchange=0,
                    mix=0, loop=False)  # fmt: skip
    if isinstance(session.model, SamplesClips):
        raise UserError(f"{session.name} samples clips, and a .npz file holds images: give a folder as output=….")
    keys = (request.n, request.seed, request.start, label, request.truncation, request.batch_size)
    return packed_samples(session, samples, *keys)


if __name__ == "__main__":
    sample()
