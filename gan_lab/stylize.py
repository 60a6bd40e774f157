"""Gives photographs the style of other pictures: ``python -m gan_lab.stylize content=photo.jpg style=painting.jpg``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gan_lab.cli.artifacts import Artifact, Message, Output
from gan_lab.cli.command import command
from gan_lab.cli.file_requests import FilesRequest, each_job, edited
from gan_lab.cli.requests import WeightFile
from gan_lab.cli.session import Session
from gan_lab.common.atomic import make_folder
from gan_lab.common.bounds import NonNegative, PositiveFloat, PositiveInt, Share
from gan_lab.common.capabilities import Stylizes
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from gan_lab.inference.stylist import Stylist

OPTIMISATION = {"content_weight": 0.05, "smoothness": 0.02, "steps": 80, "start": "content", "strip": False}
"""Keys that a trained model does not use, with their defaults."""


@dataclass(frozen=True, kw_only=True)
class StylizeRequest(FilesRequest):
    checkpoint: Path | None  # type: ignore[assignment]
    content: Path
    style: Annotated[str, Path] | None
    features: Annotated[Mapping[str, Any], WeightFile]
    size: PositiveInt | Literal["keep"]
    weights: tuple[PositiveFloat, ...] | None
    strength: Share
    content_weight: NonNegative
    smoothness: NonNegative
    steps: PositiveInt
    style_size: PositiveFloat
    keep_colour: Literal["no", "histogram", "luminance"]
    mask: Annotated[str, Path] | None
    start: Literal["content", "noise"]
    strip: bool


def parts(request: StylizeRequest) -> int | None:
    """One part for a single image, else any number."""
    return 1 if Output(request.content).is_image else None


def stylist_of(session: Session, request: StylizeRequest, styles: list[Tensor]) -> Stylist:
    """Returns what gives images the style: the checkpoint's model, or optimisation.

    Raises:
        UserError: for keys that it does not use, and for styles that are missing or do not belong.
    """
    from gan_lab.common.instantiate import instantiate
    from gan_lab.inference.stylist import StyleOptions
    from gan_lab.inference.trained_style import TrainedStylist

    look = (None if request.size == "keep" else request.size, request.style_size, request.keep_colour)
    if session.model is not None:
        request.without("A trained model optimises nothing", **OPTIMISATION)
        if not session.model.any_style:
            request.without("This model has learnt its style", style=None, weights=None, style_size=1.0, mask=None)
        return TrainedStylist(session.model, styles, request.weights, StyleOptions(*look), request.strength)
    from gan_lab.inference.styling import StyleTransfer, TransferOptions

    if not styles:
        raise UserError("There is no style picture: give style=, one picture or several separated by commas.")
    request.without("Only a trained model has a strength; content_weight= keeps more of the photograph", strength=1.0)
    features: Any = instantiate(dict(request.features))
    network = features.to(session.device).requires_grad_(False).eval()
    options = TransferOptions(
        *look, request.content_weight, request.smoothness, request.steps, request.start, request.seed
    )
    return StyleTransfer(network, styles, request.weights, options, session.device)


@command(
    StylizeRequest,
    needs=Stylizes,
    lacks="cannot give images a style",
    example="model=adain",
    parts=parts,
    complete=each_job,
)
def stylize(session: Session, request: StylizeRequest) -> Iterator[Artifact]:
    """Gives every image of a file, folder or zip the style of one or several pictures: by optimisation, which needs no
    training, or with a trained model.

    Results that exist already are left alone, so an interrupted job can be continued. Images that cannot be read are
    listed, and the rest is done.
    """
    from gan_lab.inference.file_jobs import folder_of, plan
    from gan_lab.inference.style_files import COLOUR, StyleJob, pictures, read_pictures, style_masks
    from gan_lab.training.forecast import duration

    styles = [] if request.style is None else read_pictures(pictures(request.style, "style"), "style")
    stylist = stylist_of(session, request, styles)
    masks = None if request.mask is None else style_masks(pictures(request.mask, "mask"), len(styles))
    files, others = plan(request.content, request.output, COLOUR, "content")
    job = StyleJob(request.overwrite, request.compression, stylist, masks, request.max_pixels, request.strip)
    make_folder(folder_of(request.output))
    if seconds := job.seconds(files):
        yield Message(f"About {duration(max(1, seconds))} for an image.")
    yield from edited(job, request, request.content, files, others, request.output)


if __name__ == "__main__":
    stylize()
