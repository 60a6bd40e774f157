"""Restores photographs: ``python -m gan_lab.restore checkpoint=… input=photos output=restored``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from gan_lab.cli.artifacts import Artifact, Message, Output, Written
from gan_lab.cli.command import command
from gan_lab.cli.file_requests import FilesRequest, each_job, edited
from gan_lab.cli.session import Session
from gan_lab.common.atomic import make_folder
from gan_lab.common.bounds import Bounds, PositiveInt
from gan_lab.common.capabilities import Repairs
from gan_lab.common.errors import UserError
from gan_lab.common.wording import counted
from gan_lab.inference.packaged import RestorerName, packaged


@dataclass(frozen=True, kw_only=True)
class RestoreRequest(FilesRequest):
    checkpoint: Path | None  # type: ignore[assignment]  # None is replaced as the request is checked
    restorer: RestorerName | None
    input: Path
    mask: Annotated[str, Path] | None
    before_after: bool
    tile: Literal["auto"] | PositiveInt | None
    factor: Annotated[float, Bounds(1, 16)] | None

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """Returns the request; a restorer of the package is its checkpoint, without either the one for noise.

        Raises:
            UserError: for values that are not valid, and if both are given.
        """
        request = super().checked(values)
        if request.checkpoint is not None and request.restorer is not None:
            raise UserError("checkpoint=… and restorer=… do not go together: leave one of them out.")
        if request.checkpoint is not None:
            return request
        name: RestorerName = request.restorer or "denoise"
        return replace(request, restorer=name, checkpoint=packaged(name))


def parts(request: RestoreRequest) -> int | None:
    """One part for a single image, else any number."""
    return 1 if Output(request.input).is_image else None


def check(request: RestoreRequest, model: Repairs) -> None:
    """Checks that mask and page go with the model and the output.

    Raises:
        UserError: if they do not.
    """
    if request.mask is not None and request.restorer is not None:
        raise UserError("The restorers of the package fill no pixels: give checkpoint=, a model that does.")
    if model.masks and request.mask is None:
        raise UserError("This model fills unknown pixels: give mask=, a picture that is white where they are.")
    if not model.masks and request.mask is not None:
        raise UserError(f"{type(model).__name__} restores whole images and fills nothing: leave out mask=.")
    if request.before_after:
        request.refuse_jobs("before_after=true")
    if request.before_after and Output(request.output).is_image:
        raise UserError(
            f"before_after=true writes a page beside the results: give a folder, not output={request.output}."
        )


@command(
    RestoreRequest,
    needs=Repairs,
    lacks="cannot restore photographs",
    example="model=denoise",
    parts=parts,
    complete=each_job,
)
def restore(session: Session, request: RestoreRequest) -> Iterator[Artifact]:
    """Restores every image of a file, folder or zip: takes noise or artefacts away, enlarges, or fills what is unknown.

    Results that exist already are left alone, so an interrupted job can be continued. Images that cannot be read are
    listed, and the rest is done.
    """
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.common.domains import Domain
    from gan_lab.inference.file_jobs import folder_of, plan
    from gan_lab.inference.masks import mask_of
    from gan_lab.inference.restore_files import RestorationJob
    from gan_lab.inference.restoring import PhotoRestorer
    from gan_lab.inference.sheet_page import SliderPage

    model = session.model
    check(request, model)
    if request.restorer is not None:
        rest = ", ".join(name for name in get_args(RestorerName) if name != request.restorer)
        yield Message(f"With the restorer {request.restorer} of the package; restorer= has others: {rest}.")
    page = SliderPage(request.output) if request.before_after else None
    domain = Domain(model.channels)
    mask = None if request.mask is None else mask_of(request.mask)
    files, others = plan(request.input, request.output, domain)
    job = RestorationJob(
        request.overwrite, request.compression, PhotoRestorer(model, request.tile, request.factor), domain, mask,
        request.mask == "alpha", request.max_pixels, page,
    )  # fmt: skip
    make_folder(folder_of(request.output))
    yield from edited(job, request, request.input, files, others, request.output)
    if page is not None and not rank_and_world_size()[0]:
        name = session.path if request.restorer is None else f"the restorer {request.restorer} of gan_lab"
        text = f"{counted(len(page.links), 'image')}, restored with {name}: move the slider to compare."
        yield Written(page.write(f"{request.input.name}, before and after", text))


if __name__ == "__main__":
    restore()
