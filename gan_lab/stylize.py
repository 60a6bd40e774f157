"""Gives photographs the style of other pictures: ``python -m gan_lab.stylize content=photo.jpg style=painting.jpg``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from gan_lab.cli.artifacts import Artifact, Message, Output
from gan_lab.cli.command import command
from gan_lab.cli.requests import Request, WeightFile
from gan_lab.common.atomic import make_folder
from gan_lab.common.bounds import Bounds, NonNegative, PositiveFloat, PositiveInt, Seed


@dataclass(frozen=True, kw_only=True)
class StylizeRequest(Request):
    content: Path
    style: Annotated[str, Path]
    output: Path
    features: Annotated[Mapping[str, Any], WeightFile]
    size: PositiveInt | Literal["keep"]
    weights: tuple[PositiveFloat, ...] | None
    content_weight: NonNegative
    smoothness: NonNegative
    steps: PositiveInt
    style_size: PositiveFloat
    keep_colour: Literal["no", "histogram", "luminance"]
    mask: Annotated[str, Path] | None
    start: Literal["content", "noise"]
    seed: Seed
    strip: bool
    overwrite: bool
    max_pixels: PositiveInt
    compression: Annotated[int, Bounds(0, 9)]
    device: str

    def destination(self) -> Output:
        return Output.of_edited(self.output, self.compression)


@command(StylizeRequest)
def stylize(request: StylizeRequest) -> Iterator[Artifact]:
    """Gives every image of a file, folder or zip the style of one or several pictures, by optimisation.

    It needs no training: the networks that describe content and style are part of the package. Results that exist
    already are left alone, so an interrupted job can be continued.
    """
    from gan_lab.common.device import resolve_device
    from gan_lab.common.instantiate import instantiate
    from gan_lab.inference.file_jobs import folder_of, plan
    from gan_lab.inference.style_files import COLOUR, StyleJob, pictures, read_pictures, style_masks
    from gan_lab.inference.styling import StyleOptions, StyleTransfer
    from gan_lab.training.forecast import duration

    paths = pictures(request.style, "style")
    styles = read_pictures(paths, "style")
    masks = None if request.mask is None else style_masks(pictures(request.mask, "mask"), len(styles))
    files, others = plan(request.content, request.output, COLOUR, "content")
    device = resolve_device(request.device)
    options = StyleOptions(
        None if request.size == "keep" else request.size, request.content_weight, request.smoothness, request.steps,
        request.style_size, request.keep_colour, request.start, request.seed,
    )  # fmt: skip
    features: Any = instantiate(dict(request.features))
    transfer = StyleTransfer(features.to(device).requires_grad_(False).eval(), styles, request.weights, options, device)
    job = StyleJob(request.overwrite, request.compression, transfer, masks, request.max_pixels, request.strip)
    make_folder(folder_of(request.output))
    if seconds := job.seconds(files):
        yield Message(f"About {duration(max(1, seconds))} for an image.")
    job.run(files)
    job.report.raise_if_none(len(files), request.content, "stylised")
    yield Message("\n".join(job.report.lines(request.output, others, "stylised", "stylises")))


if __name__ == "__main__":
    stylize()
