"""The request of the command inspect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from gan_lab.cli.artifacts import Output
from gan_lab.cli.requests import DataRequest, check_read
from gan_lab.common.bounds import Bounds, Natural, NonNegative, PositiveInt
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from gan_lab.cli.session import Session
    from gan_lab.inference.reconstruction import LabelledImages

GENERAL = ("checkpoint", "do", "output", "label", "n", "seed", "ema", "batch_size", "device", "trust", "compression")
"""Keys that everything reads."""
UNITS = ("images", "labels", "names", "layers", "samples", "shown")
READS = {
    "units": (*GENERAL, *UNITS, "classes"),
    "saliency": (*GENERAL, "input", "repeats", "noise"),
    "nearest": (*GENERAL, "input", "split", "root", "data", "k"),
}
"""Keys that each task reads."""


@dataclass(frozen=True, kw_only=True)
class InspectRequest(DataRequest):
    output: Path
    do: Literal["units", "saliency", "nearest"]
    label: Annotated[str, Path] | int | None
    images: Path | None
    labels: Path | None
    names: tuple[str, ...] | None
    layers: tuple[PositiveInt, ...] | None
    samples: Annotated[int, Bounds(2)]
    shown: PositiveInt
    classes: tuple[str | Natural, ...] | None
    count: PositiveInt
    repeats: PositiveInt
    noise: NonNegative
    k: PositiveInt


def check(request: InspectRequest) -> None:
    """Checks that keys belong to the task, and that the output is a folder.

    Raises:
        UserError: if one does not, or the output names an image.
    """
    reads = READS[request.do]
    check_read(request, "inspect", request.do, (*reads, "count") if request.classes else reads)
    if Output(request.output).is_image or request.output.is_file():
        raise UserError(f"output={request.output} names a file, but several are written: give a folder.")
    if request.do == "units" and (request.images is None or request.labels is None):
        raise UserError(
            "Units are compared with classes of pixels: give images= and labels=, photographs and their label maps."
        )


def shown_images(session: Session, request: InspectRequest) -> LabelledImages:
    """Returns the images of ``input=``, or samples of the model, with their classes.

    Raises:
        UserError: for images of a conditional model without a class, and if none can be read.
    """
    import torch

    from gan_lab.cli.inputs import own_images
    from gan_lab.inference.reconstruction import LabelledImages
    from gan_lab.inference.sampling import num_labels, sample_batches

    label = session.label(request.label)
    if request.input is not None:
        if label is None and request.do == "saliency" and session.num_classes:
            raise UserError(f"{session.name} is conditional: give label=, the class of the images.")
        return own_images(session, request, request.input, label)
    batches = sample_batches(session.model, request.n, request.seed, label=label, batch_size=request.batch_size)
    images = torch.cat([batch for _, batch in batches])
    classes = num_labels(session.model) if label is None else 0
    return LabelledImages(images, torch.arange(request.n) % classes if classes else label)
