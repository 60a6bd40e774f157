"""Translates images to another domain: ``python -m gan_lab.translate checkpoint=… input=photos output=zebras``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gan_lab.cli.artifacts import Artifact, Output, Written
from gan_lab.cli.command import command
from gan_lab.cli.file_requests import FilesRequest, each_job, edited
from gan_lab.cli.session import Session
from gan_lab.cli.translation_ways import DomainRequest, page_of, title, ways
from gan_lab.common.atomic import make_folder
from gan_lab.common.bounds import PositiveFloat, PositiveInt
from gan_lab.common.capabilities import Translates, TranslatesAmong
from gan_lab.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TranslateRequest(FilesRequest, DomainRequest):
    input: Path
    instances: Path | None
    sheet: bool
    tile: Literal["auto"] | PositiveInt | None
    stats: Literal["exact", "fast"]
    scratch: Literal["disk", "memory"]
    memory: PositiveFloat | None


def parts(request: TranslateRequest) -> int | None:
    """One part for a single image, else any number."""
    return 1 if Output(request.input).is_image else None


@command(
    TranslateRequest,
    needs=Translates | TranslatesAmong,
    lacks="cannot translate images",
    example="model=cyclegan",
    parts=parts,
    complete=each_job,
)
def translate(session: Session, request: TranslateRequest) -> Iterator[Artifact]:
    """Translates every image of a file, folder or zip to another domain, in one style or several.

    Results that exist already are left alone, so an interrupted job can be continued. Images that cannot be read are
    listed, and the rest is done.
    """
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.inference.file_jobs import folder_of, plan
    from gan_lab.inference.object_maps import ObjectMaps, check_takes_objects
    from gan_lab.inference.translate_files import TranslationJob, add_references, tiling_for

    if request.sheet and Output(request.output).is_image:
        raise UserError(f"sheet=true writes a page beside the results: give a folder, not output={request.output}.")
    folder = folder_of(request.output)
    tiling = tiling_for(session.device, folder, request.tile, request.stats, request.scratch, request.memory)
    found = ways(session, request, tiling)
    if len(found) > 1 and Output(request.output).is_image:
        raise UserError(f"There are {len(found)} results of each image: give a folder, not output={request.output}.")
    if request.sheet:
        request.refuse_jobs("sheet=true")
    sheet = page_of(found, request.output) if request.sheet else None
    check_takes_objects(request.instances, found[0].there.source.instances)
    files, others = plan(request.input, request.output, found[0].there.target)
    make_folder(folder)
    for way in found:
        job = TranslationJob(request.overwrite, request.compression, way.there, way.back if sheet else None,
                             request.max_pixels, sheet, session.trained_side, way.column,
                             ObjectMaps.at(request.instances))  # fmt: skip
        own = [replace(file, output=way.place(file.output, folder)) for file in files]
        yield from edited(job, request, request.input, own, others, request.output / way.name)
    if sheet is not None and not rank_and_world_size()[0]:
        text = f"{len(sheet.links)} images, translated with {session.path}"
        add_references(sheet, {way.column: (way.reference, way.there.target) for way in found})
        yield Written(sheet.write(f"{request.input.name} {title(session, found[0].there)}", text))


if __name__ == "__main__":
    translate()
