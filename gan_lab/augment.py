"""Augments a data set with samples: ``python -m gan_lab.augment checkpoint=… per_class=500 output=augmented``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gan_lab.cli.artifacts import Artifact, Message, Output, Record
from gan_lab.cli.command import command
from gan_lab.cli.requests import DataChanges, ModelRequest
from gan_lab.cli.session import Session
from gan_lab.common.atomic import make_folder
from gan_lab.common.bounds import Bounds, Natural, PositiveInt, Probability, Share
from gan_lab.common.capabilities import LabelledImages, Samples
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from gan_lab.evaluation.curation import Curator


@dataclass(frozen=True, kw_only=True)
class AugmentRequest(ModelRequest):
    output: Path
    per_class: PositiveInt
    classes: tuple[str | Natural, ...] | None
    confidence: Probability
    tries: PositiveInt
    root: str | None  # or a URL
    data: DataChanges
    truncation: Share
    batch_size: PositiveInt
    compression: Annotated[int, Bounds(0, 9)]

    def destination(self) -> Output:
        return Output(self.output, self.compression)


@command(AugmentRequest, needs=Samples, lacks="cannot sample", example="model=cgan")
def augment(session: Session, request: AugmentRequest) -> Iterator[Artifact]:
    """Writes samples of a conditional model as a labelled set of images, a folder for each class.

    A classifier that is fitted to the training images leaves out samples that do not look like their class, and samples
    that are nearer to a training image than training images are to one another. The manifest has the checkpoint's hash,
    and for each file the seed and the number that the sample can be drawn again with.
    """
    import torch

    from gan_lab.evaluation.curation import Curator
    from gan_lab.evaluation.features.extractors import sha256
    from gan_lab.evaluation.features.general import General

    total = session.num_classes
    if not total:
        raise UserError(f"{session.name} was trained without labels: give a checkpoint of a conditional model.")
    if request.output.is_dir() and any(request.output.iterdir()):
        raise UserError(f"output={request.output} has files already: give another folder.")
    if Output(request.output).is_image:
        raise UserError(f"output={request.output} names an image: give a folder.")
    given = range(total) if request.classes is None else request.classes
    chosen = list(dict.fromkeys(_number(session, each) for each in given))
    if not chosen:
        raise UserError("classes=[] leaves nothing to sample: name some, or leave classes= out.")
    data = session.data(request.root, request.data)
    if not isinstance(data, LabelledImages):
        raise UserError(f"The data of {session.path} have no labels: give root=, a folder of folders named by class.")
    images, labels = torch.cat([*data.images("train")]), data.labels("train")
    curator = Curator.of(General().to(session.device), images, labels, request.confidence)
    files: dict[str, dict[str, Any]] = {}
    for label, name in zip(chosen, _folders(session, chosen), strict=True):
        rows, drawn = _write_class(session, request, curator, label, name)
        files |= rows
        few = " (tries= or confidence= can change that)" if len(rows) < request.per_class else ""
        yield Message(f"{name}: kept {len(rows)} of {drawn} samples{few}")
    facts = {"checkpoint": session.path.name, "sha256": sha256(session.path), "seed": request.seed,
             "ema": request.ema, "truncation": request.truncation, "confidence": request.confidence}  # fmt: skip
    yield Record("manifest", {**facts, "nearest_allowed": curator.too_near, "files": files})


def _write_class(
    session: Session, request: AugmentRequest, curator: Curator, label: int, name: str
) -> tuple[dict[str, dict[str, Any]], int]:
    """Draws samples of a class and writes those that are kept; returns a row for each file, and how many were drawn."""
    from gan_lab.common.images import save_png, to_uint8

    make_folder(request.output / name)
    rows: dict[str, dict[str, Any]] = {}
    most, start = request.tries * request.per_class, 0
    while start < most and len(rows) < request.per_class:
        n = min(request.batch_size, most - start)
        images = session.model.sample(n, request.seed, start, label=label, truncation=request.truncation)
        judged = curator.judge(images, label)
        for place in judged.kept.nonzero()[: request.per_class - len(rows), 0].tolist():
            file = f"{name}/{start + place:06d}.png"
            save_png(request.output / file, to_uint8(images[place : place + 1])[0].cpu(), request.compression)
            figures = {"confidence": float(judged.confidence[place]), "nearest": float(judged.nearest[place])}
            rows[file] = {"label": label, "number": start + place, **figures}
        start += n
    return rows, start


def _folders(session: Session, labels: Sequence[int]) -> list[str]:
    """The names of classes, or their numbers where a name would be no folder's."""
    from gan_lab.common.class_names import class_names, file_name

    names = class_names(session.model)
    digits = len(str(session.num_classes - 1))  # so that they sort as numbers do
    numbers = [f"{label:0{digits}d}" for label in labels]
    given = [names[label] if names else number for label, number in zip(labels, numbers, strict=True)]
    return [file_name(name, number) for name, number in zip(given, numbers, strict=True)]


def _number(session: Session, label: str | int) -> int:
    number = session.label(label)
    assert number is not None
    return number


if __name__ == "__main__":
    augment()
