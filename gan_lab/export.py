"""Exports a trained model: ``python -m gan_lab.export checkpoint=… output=… format=onnx``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from gan_lab.cli.artifacts import Artifact, Message, Output, Written
from gan_lab.cli.command import command
from gan_lab.cli.requests import ModelRequest, Size
from gan_lab.cli.session import Session
from gan_lab.common.atomic import check_place, new_folder
from gan_lab.common.bounds import Bounds, PositiveInt
from gan_lab.common.capabilities import (
    DecodesClips,
    HasLogits,
    Predicts,
    Repairs,
    Samples,
    Stylizes,
    Translates,
    TranslatesAmong,
)
from gan_lab.common.errors import UserError
from gan_lab.common.hub import HubModel

if TYPE_CHECKING:
    from torch import Tensor

    from gan_lab.inference.export.pictures import Pictures

GRAPHS = {"graphs": (), "pixels": False, "size": None, "steps": 4, "bound": 1e-4, "n": 6, "root": None}
"""Keys that only formats of graphs read, with their defaults."""


@dataclass(frozen=True, kw_only=True)
class ExportRequest(ModelRequest):
    output: Path
    push: Annotated[str, Path] | None
    private: bool
    format: Literal["safetensors", "onnx", "pt2"]
    graphs: tuple[str, ...]
    pixels: bool
    size: Size | None
    steps: PositiveInt
    aoti: bool
    bound: Annotated[float, Bounds(0, 1)]
    n: Annotated[int, Bounds(3, 10_000)]
    root: str | None  # or a URL
    precision: str

    def destination(self) -> Output:
        return Output(self.output.parent)

    def check_places(self) -> None:
        if self.precision != "fp32":
            raise UserError(
                f"precision={self.precision} is not valid: exports are fp32, as ONNX Runtime has no bf16 on a CPU, "
                "and fp16 would not equal the model: leave precision= out."
            )
        if self.format == "safetensors":
            self.without("format=safetensors writes weights and no graphs", aoti=False, **GRAPHS)
        if self.push is None:
            self.without("Only a repository that push= makes is private", private=False)
        else:
            HubModel.of(self.push, "push").check_token()
        if self.aoti and self.format != "pt2":
            raise UserError("aoti=true compiles graphs of torch.export: give format=pt2, too.")
        if self.output.exists() and (not self.output.is_dir() or any(self.output.iterdir())):
            raise UserError(f"output={self.output} exists: give a new folder, or remove it first.")
        check_place(self.output.parent, "output")


Exportable = Samples | Translates | TranslatesAmong | Repairs | Stylizes | Predicts | DecodesClips | HasLogits


@command(ExportRequest, needs=Exportable, lacks="has nothing to export", example="model=dcgan")
def export(session: Session, request: ExportRequest) -> Iterator[Artifact]:
    """Writes a model for other programs, and compares what they make of it with the model's own outputs."""
    if request.format == "safetensors":
        yield from _weights(session, request)
    else:
        yield from _graphs(session, request)
    yield Written(request.output)
    if request.push is not None:
        yield Message(f"Pushed: {_pushed(HubModel.of(request.push, 'push'), request)}")


def _pushed(place: HubModel, request: ExportRequest) -> str:
    """Pushes what was exported; returns the address.

    Raises:
        UserError: if the hub refuses or is not there; what was exported stays.
    """
    try:
        return place.push(sorted(request.output.iterdir()), request.private)
    except UserError as error:
        stays = f"{request.output} is complete, and checkpoint={request.output} with another output= pushes it later"
        raise UserError(f"{str(error).rstrip('.')}; {stays}.") from error


def _weights(session: Session, request: ExportRequest) -> Iterator[Artifact]:
    from gan_lab.evaluation.reports.model_card import card
    from gan_lab.training.model_folder import write_model

    place = "this folder" if request.push is None else str(HubModel.of(request.push))
    text = card(session.model, session.contents, session.path, place)
    with new_folder(request.output) as folder:
        write_model(session.model, session.contents, folder, text)
    left = ", ".join(session.model.training_only)
    yield Message(f"Averaged weights, their configuration and a card{f', without {left}' if left else ''}.")


def _graphs(session: Session, request: ExportRequest) -> Iterator[Artifact]:
    from gan_lab.common.runs import write_json
    from gan_lab.inference.export.exporting import export as export_graphs
    from gan_lab.inference.export.report import facts_of, parity_table, report

    assert request.format != "safetensors"
    pictures = _pictures(session, request)
    with new_folder(request.output) as folder:
        graphs, found = export_graphs(
            session.model, folder, request.format, _size(session, request), pictures, request.graphs, request.pixels,
            request.aoti, request.n, request.bound, steps=request.steps, facts=facts_of(session.contents),
        )  # fmt: skip
        write_json(folder / "parity.json", report(graphs, found, pictures, request.bound, session.facts))
    yield Message(parity_table(found, pictures))
    for graph in graphs:
        if graph.note:
            yield Message(f"{graph.name}: {graph.note}")


def _size(session: Session, request: ExportRequest) -> tuple[int, int]:
    from gan_lab.data.checks import parse_size

    size = request.size or (session.contents.get("data") or {}).get("size")
    if not size:
        raise UserError(f"{session.path} does not state the size of its images: give size=.")
    return parse_size(size)


def _pictures(session: Session, request: ExportRequest) -> Pictures:
    """Returns images of the checkpoint's data where they are, else noise."""
    from gan_lab.inference.export.pictures import Pictures

    channels = int((session.contents.get("data") or {}).get("channels") or 3)
    return Pictures(channels, _images(session, request), request.seed)


def _images(session: Session, request: ExportRequest) -> Tensor | None:
    """Returns images of the checkpoint's data, (M, C, H, W) in [-1, 1]; None if they are not here."""
    from gan_lab.common.capabilities import RealImages
    from gan_lab.common.images import to_float

    try:
        data = session.data(request.root)
    except (UserError, OSError):
        if request.root is not None:
            raise
        return None
    batch = next(data.images("test", request.n), None) if isinstance(data, RealImages) else None
    return None if batch is None else to_float(batch[: request.n])


if __name__ == "__main__":
    export()
