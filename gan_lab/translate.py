"""Translates images to another domain: ``python -m gan_lab.translate checkpoint=… input=photos output=zebras``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gan_lab.cli.artifacts import Artifact, Message, Output, Written
from gan_lab.cli.command import command
from gan_lab.cli.requests import InferenceRequest, Size
from gan_lab.cli.session import Session
from gan_lab.common.atomic import make_folder
from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.common.capabilities import Translates
from gan_lab.common.errors import UserError

COLUMNS = ("input", "output", "cycle")


@dataclass(frozen=True, kw_only=True)
class TranslateRequest(InferenceRequest):
    input: Path
    instances: Path | None
    output: Path
    direction: str
    size: Literal["keep", "trained"] | Size
    overwrite: bool
    sheet: bool
    max_pixels: PositiveInt
    tile: Literal["auto"] | PositiveInt | None
    stats: Literal["exact", "fast"]
    scratch: Literal["disk", "memory"]
    memory: PositiveFloat | None

    def destination(self) -> Output:
        return Output.of_edited(self.output, self.compression)

    def sides(self, trained: int | None) -> tuple[int, int] | int | None:
        """(height, width) of the results, or the length of their shorter side; None keeps each image's own.

        Args:
            trained: shorter side of the images that the model was trained on.

        Raises:
            UserError: if it is asked for and not known.
        """
        if self.size == "trained" and trained is None:
            raise UserError("The checkpoint does not state the size of its images: give size=256 or another number.")
        if self.size in ("keep", "trained"):
            return None if self.size == "keep" else trained
        return (self.size, self.size) if isinstance(self.size, int) else self.size  # type: ignore[return-value]


def parts(request: TranslateRequest) -> int | None:
    """One part for a single image, else any number."""
    return 1 if Output(request.input).is_image else None


@command(TranslateRequest, needs=Translates, lacks="cannot translate images", example="model=cyclegan", parts=parts)
def translate(session: Session, request: TranslateRequest) -> Iterator[Artifact]:
    """Translates every image of a file, folder or zip to another domain.

    Results that exist already are left alone, so an interrupted job can be continued. Images that cannot be read are
    listed, and the rest is done.
    """
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.inference.file_jobs import folder_of, plan
    from gan_lab.inference.sheet_page import SheetPage
    from gan_lab.inference.translate_files import TranslationJob, tiling_for

    if request.sheet and Output(request.output).is_image:
        raise UserError(f"sheet=true writes a page beside the results: give a folder, not output={request.output}.")
    folder = folder_of(request.output)
    tiling = tiling_for(session.device, folder, request.tile, request.stats, request.scratch, request.memory)
    sheet = SheetPage(request.output, COLUMNS) if request.sheet else None
    trained = session.trained_side
    keys = request.direction, request.sides(trained), tiling, request.seed
    job = TranslationJob.of(session.model, *keys, request.max_pixels, request.overwrite, sheet, trained,
                            request.compression, request.instances)  # fmt: skip
    files, others = plan(request.input, request.output, job.there.target)
    make_folder(folder)
    job.run(files)
    if rank_and_world_size()[0]:
        return
    job.report.raise_if_none(len(files), request.input, "translated")
    yield Message("\n".join(job.report.lines(request.output, others, "translated", "translates")))
    if job.sheet is not None:
        title = f"{request.input.name} {request.direction[0]} → {request.direction[-1]}"
        yield Written(job.sheet.write(title, f"{len(job.sheet.links)} images, translated with {session.path}"))


if __name__ == "__main__":
    translate()
