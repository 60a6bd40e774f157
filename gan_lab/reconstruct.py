"""Reconstructs and completes images: ``python -m gan_lab.reconstruct checkpoint=runs/…/last.ckpt hide=bottom``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from gan_lab.cli.artifacts import Artifact, Images, Message, Output, Sheet, walk_artifacts
from gan_lab.cli.command import command
from gan_lab.cli.inputs import given_images
from gan_lab.cli.requests import DataRequest
from gan_lab.cli.session import Session
from gan_lab.common.bounds import Bounds, PositiveFloat, PositiveInt
from gan_lab.common.capabilities import Reconstructs, Restores
from gan_lab.common.errors import UserError
from gan_lab.common.wording import counted


@dataclass(frozen=True, kw_only=True)
class ReconstructRequest(DataRequest):
    label: Annotated[str, Path] | int | None
    hide: Literal["bottom", "top", "left", "right", "center"] | None
    samples: PositiveInt
    interpolate: Literal[0] | Annotated[int, Bounds(2)]
    steps: PositiveInt
    fps: PositiveFloat
    columns: PositiveInt
    single: bool


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

    if request.output and Output(request.output).is_image:
        raise UserError(f"output={request.output} names one image, but several files are written: give a folder.")
    work.require_capabilities(session.model, request.hide is not None, bool(request.interpolate))
    given = given_images(session, request, session.label(request.label))
    if request.interpolate > len(given.images):
        raise UserError(f"interpolate={request.interpolate} is not valid: there are {len(given.images)} images.")
    real, how = given.images, (request.batch_size, session.device)
    if request.hide is None:
        results = work.reconstruct_images(session.model, given, *how)
        rows = [real, results, (results - real).abs() - 1]
        yield Message(f"Reconstructed {counted(len(real), 'image')}: {describe_errors(results, real)} on average")
    else:
        known = work.known_mask(request.hide, *real.shape[2:])
        seeds = range(request.seed, request.seed + request.samples)
        completed = [work.complete_images(session.model, given, known, seed, *how) for seed in seeds]
        error = torch.stack([mse(each, real) for each in completed]).mean().item() / (1 - known.mean().item())
        results, rows = torch.cat(completed), [real, torch.where(known > 0, real, work.GREY), *completed]
        counts, part = f"{len(completed)} × {counted(len(real), 'image')}", request.hide
        yield Message(f"Completed {counts} with the {part} hidden: MSE {error:.4f} there on average")
    yield Sheet("sheet", work.rows_sheet(rows, request.columns))
    if request.single:
        yield Images(results)
        yield Message(f"Wrote {counted(len(results), 'image')}")
    if request.interpolate:
        frames = work.walk_between_encodings(session.model, given.first(request.interpolate), request.steps, *how)
        yield from walk_artifacts(frames, request.fps)


if __name__ == "__main__":
    reconstruct()
