"""Measures a trained model: ``python -m gan_lab.evaluate checkpoint=runs/…/last.ckpt``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from gan_lab.cli.artifacts import Artifact, Message, Output, Record, Written
from gan_lab.cli.command import command
from gan_lab.cli.requests import DataChanges, Extractors, ModelRequest, PositiveInt, Share, Size, require_one_way
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import Predicts, Samples, SamplesClips, Translates
from gan_lab.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest(ModelRequest):
    checkpoint: Path | None  # type: ignore[assignment]
    real: Path | None
    fake: Path | None
    answers: Path | None
    size: Size | None
    output: Annotated[str, Path] | None  # type: ignore[assignment]
    page: bool
    trial: PositiveInt | None
    pairs: bool
    root: Path | None
    data: DataChanges
    n: PositiveInt | None
    weights: Mapping[str, Path | None]
    paired: bool | None
    split: Literal["train", "test", "whole"]
    limit: PositiveInt | None
    truncation: Share
    batch_size: PositiveInt
    metrics: Mapping[str, Any] | None = None
    extractor: Extractors | None = None

    def __post_init__(self) -> None:
        require_one_way(self, ["checkpoint"], ["real", "fake"], ["answers"])

    def destination(self) -> Output:
        return Output.base(self.output, beside=self.checkpoint or self.answers)


@command(
    EvaluateRequest,
    needs=Samples | Translates | Predicts | SamplesClips,
    lacks="generates nothing to measure",
    example="model=dcgan",
    parts=lambda _: None,
)
def evaluate(session: Session, request: EvaluateRequest) -> Iterator[Artifact]:
    """Measures a trained model against its data, or one folder of images against another.

    Writes the metrics with their protocol as JSON and as a page. With ``answers=`` it computes the error rate of people
    who were shown the page of ``trial=``.
    """
    from gan_lab.cli.evaluations import from_checkpoint, from_folders
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.evaluation.reports.human_test import answers_record

    if request.answers is not None:
        answers, sentence = answers_record(request.answers)
        yield Message(sentence)
        yield Record(f"{request.answers.stem}-rate", answers)
        return
    evaluation, name = from_checkpoint(session, request) if request.fake is None else from_folders(session, request)
    if request.trial and not evaluation.samples_images:
        raise UserError("The test with people needs a model that samples images: leave out trial=….")
    record, gallery = evaluation.measure(request.page)
    if rank_and_world_size()[0]:
        return
    yield Record(name, record)
    yield from map(Message, evaluation.lines(record))
    output, trial = request.destination(), None
    if request.trial:
        keys = request.trial, request.split, request.pairs, request.seed
        trial = evaluation.write_trial(output.path(name, "-trial.html"), *keys)
    if request.page:
        yield Written(evaluation.write_page(output.path(name, ".html"), record, gallery, trial))
    if trial:
        yield Written(trial)


if __name__ == "__main__":
    evaluate()
