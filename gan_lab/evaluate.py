"""Measures a trained model: ``python -m gan_lab.evaluate checkpoint=runs/…/last.ckpt``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from gan_lab.cli.artifacts import Artifact, Message, Output, Record, Written
from gan_lab.cli.command import command
from gan_lab.cli.requests import DataChanges, MetricsRequest, Size, require_one_way
from gan_lab.cli.session import Session
from gan_lab.common.bounds import PositiveInt
from gan_lab.common.capabilities import Predicts, Repairs, Samples, SamplesClips, Stylizes, Translates, TranslatesAmong
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest(MetricsRequest):
    checkpoint: Path | None  # type: ignore[assignment]
    real: Path | None
    fake: Path | None
    answers: Path | None
    size: Size | None
    output: Annotated[str, Path] | None  # type: ignore[assignment]
    page: bool
    trial: PositiveInt | None
    pairs: bool
    root: str | None  # or a URL
    data: DataChanges

    def __post_init__(self) -> None:
        require_one_way(self, ["checkpoint"], ["real", "fake"], ["answers"])

    def destination(self) -> Output:
        return Output.base(self.output, beside=self.checkpoint or self.answers)


def prepare(config: DictConfig) -> None:
    """Refuses keys that do not go together, and metrics and extractors with arguments that they do not have; finds a
    place for what is measured of a model on the hub.
    """
    from gan_lab.cli.config.compose import resolve, resolve_part
    from gan_lab.cli.config.parts import check_all
    from gan_lab.common.hub import is_on_hub
    from gan_lab.common.named_checkpoints import named_checkpoint

    request = EvaluateRequest.checked(resolve(config))
    if request.checkpoint is not None:
        named_checkpoint(request.checkpoint)
        if is_on_hub(request.checkpoint) and request.output is None:
            config.output = "./"  # beside a download is no place for results
    for key in ("metrics", "extractor"):
        if config.get(key) is not None:
            check_all(resolve_part(config, key), key)


@command(
    EvaluateRequest,
    needs=Samples | Translates | TranslatesAmong | Repairs | Predicts | SamplesClips | Stylizes,
    lacks="generates nothing to evaluate",
    example="model=dcgan",
    parts=lambda _: None,
    prepare=prepare,
)
def evaluate(session: Session, request: EvaluateRequest) -> Iterator[Artifact]:
    """Measures a trained model against its data, or one folder of images against another.

    Writes the metrics with their protocol as JSON and as a page. With ``answers=`` it computes the error rate of people
    who were shown the page of ``trial=``.
    """
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.evaluation.reports.human_test import answers_record
    from gan_lab.evaluation.reports.outcome import Evaluation

    if request.answers is not None:
        answers, sentence = answers_record(request.answers)
        yield Message(sentence)
        yield Record(f"{request.answers.stem}-rate", answers)
        return
    if request.real and request.fake:
        evaluation = Evaluation.of_folders(request.real, request.fake, request.size, session.device, request.options())
    else:
        data = session.data(request.root, request.data)
        evaluation = Evaluation.of_model(session.model, data, session.title, session.facts, request.options())
    name = f"{session.path.stem}-evaluation" if request.checkpoint and request.output is None else "evaluation"
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
