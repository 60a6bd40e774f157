"""Reconstructs and completes images: ``python -m gan_lab.reconstruct checkpoint=runs/…/last.ckpt hide=bottom``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from gan_lab.cli.artifacts import Artifact, Images, Message, Output, Sheet, walk_artifacts
from gan_lab.cli.command import command
from gan_lab.cli.inputs import data_images, own_images
from gan_lab.cli.requests import Bounds, DataChanges, ModelRequest, PositiveFloat, PositiveInt
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import Decodes, Encodes, Reconstructs, Restores
from gan_lab.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ReconstructRequest(ModelRequest):
    input: Path | None
    split: Literal["test", "train", "whole"]
    root: Path | None
    data: DataChanges
    n: PositiveInt
    label: int | None
    hide: Literal["bottom", "top", "left", "right", "center"] | None
    samples: PositiveInt
    interpolate: Literal[0] | Annotated[int, Bounds(2)]
    steps: PositiveInt
    fps: PositiveFloat
    columns: PositiveInt
    single: bool
    batch_size: PositiveInt


@command(
    ReconstructRequest,
    needs=Reconstructs | Restores,
    lacks="neither encodes images nor completes them",
    example="model=vae",
)
def reconstruct(session: Session, request: ReconstructRequest) -> Iterator[Artifact]:
    """Reconstructs images with a trained model, or completes them after a part of each is hidden.

    Writes a sheet of the originals, the reconstructions and the absolute errors, or of the originals, their known parts
    and the completions.
    """
    import torch

    from gan_lab.evaluation.metrics.reconstruction import describe_errors, mse
    from gan_lab.inference import reconstruction as work

    check(session, request)
    given = data_images(session, request) if request.input is None else own_images(session, request, request.input)
    if request.interpolate > len(given.images):
        raise UserError(f"interpolate={request.interpolate} is not valid: there are {len(given.images)} images.")
    real, how = given.images, (request.batch_size, session.device)
    if request.hide is None:
        results = work.reconstruct_images(session.model, given, *how)
        rows = [real, results, (results - real).abs() - 1]
        yield Message(f"Reconstructed {len(real)} images: {describe_errors(results, real)} on average")
    else:
        known = work.known_mask(request.hide, *real.shape[2:])
        seeds = range(request.seed, request.seed + request.samples)
        completed = [work.complete_images(session.model, given, known, seed, *how) for seed in seeds]
        error = torch.stack([mse(each, real) for each in completed]).mean().item() / (1 - known.mean().item())
        results, rows = torch.cat(completed), [real, torch.where(known > 0, real, work.GREY), *completed]
        counts = f"{len(completed)} × {len(real)} images"
        yield Message(f"Completed {counts} with the {request.hide} hidden: MSE {error:.4f} there on average")
    yield Sheet("sheet", work.rows_sheet(rows, request.columns))
    if request.single:
        yield Images(results)
        yield Message(f"Wrote {len(results)} images")
    if request.interpolate:
        frames = work.walk_between_encodings(session.model, given.first(request.interpolate), request.steps, *how)
        yield from walk_artifacts(frames, request.fps)


def check(session: Session, request: ReconstructRequest) -> None:
    """Raises UserError if the model cannot do what is asked, or the output is one file."""
    model, lacks = session.model, None
    if request.hide is None and not isinstance(model, Reconstructs):
        lacks = "completes images, but has no encoder to reconstruct whole ones: give hide=bottom"
    elif request.hide is not None and not isinstance(model, Restores):
        lacks = "reconstructs images, but cannot complete them: leave out hide=…"
    elif request.interpolate and not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        lacks = "has no encodings to walk between: leave out interpolate=…"
    if lacks:
        raise UserError(f"{session.path} holds the model {session.name}, which {lacks}.")
    if request.output and Output(request.output).is_image:
        raise UserError(f"output={request.output} names one image, but several files are written: give a folder.")


if __name__ == "__main__":
    reconstruct()
