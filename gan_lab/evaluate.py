"""Measures a trained model: ``python -m gan_lab.evaluate checkpoint=runs/…/last.ckpt``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gan_lab.cli.artifacts import Artifact, Message, Output, Record, Written
from gan_lab.cli.command import command
from gan_lab.cli.requests import DataChanges, Extractors, ModelRequest, PositiveInt, Share, Size
from gan_lab.cli.session import Session
from gan_lab.common.capabilities import Predicts, Samples, SamplesClips, Translates
from gan_lab.common.errors import UserError

if TYPE_CHECKING:
    from gan_lab.evaluation.reports.outcome import Evaluation

WAYS = (["checkpoint"], ["real", "fake"], ["answers"])
"""Keys that say what is evaluated; one of these sets is given."""


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
        given = [key for way in WAYS for key in way if getattr(self, key) is not None]
        if not given:
            raise UserError(
                "There is nothing to measure: give checkpoint=…, or real=… and fake=…, two folders of images."
            )
        if given in (["real"], ["fake"]):
            other = "real" if given == ["fake"] else "fake"
            raise UserError(f"There is nothing to compare {given[0]}=… with: give {other}=…, a folder of images, too.")
        if given not in WAYS:
            raise UserError(
                f"{'=…, '.join(given[:-1])}=… and {given[-1]}=… do not go together: give checkpoint=… alone, or real=… "
                "and fake=…, or answers=… alone."
            )

    def destination(self) -> Output:
        """A folder or a file as given, with or without ending; None for beside the checkpoint or the answers."""
        beside = self.checkpoint or self.answers
        if self.output is None:
            folder = Path() if beside is None else beside if beside.is_dir() else beside.parent
            return Output(folder)
        path = Path(self.output).expanduser()
        whole = path.is_dir() or self.output.endswith("/") or path.suffix.lower() in (".json", ".html")
        return Output(path if whole else path.with_name(f"{path.name}.json"))


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
    from gan_lab.common.distributed import rank_and_world_size
    from gan_lab.evaluation.reports.pages import answers_record

    if request.answers is not None:
        record, sentence = answers_record(request.answers)
        yield Message(sentence)
        yield Record(f"{request.answers.stem}-rate", record)
        return
    evaluation, name = from_checkpoint(session, request) if request.fake is None else from_folders(session, request)
    if request.trial and not evaluation.samples_images:
        raise UserError("The test with people needs a model that samples images: leave out trial=….")
    record, gallery = evaluation.measure(request.page)
    if rank_and_world_size()[0]:
        return
    yield Record(name, record)
    yield Message(evaluation.table(record))
    if "undefined" in record:
        yield Message(f"Without a finite value, for example with too few images: {', '.join(record['undefined'])}")
    output, trial = request.destination(), None
    if request.trial:
        keys = request.trial, request.split, request.pairs, request.seed
        trial = evaluation.write_trial(output.path(name, "-trial.html"), *keys)
    if request.page:
        yield Written(evaluation.write_page(output.path(name, ".html"), record, gallery, trial))
    if trial:
        yield Written(trial)


def from_checkpoint(session: Session, request: EvaluateRequest) -> tuple[Evaluation, str]:
    """The evaluation of a model on the data that it was trained on."""
    from gan_lab.common.runs import run_title
    from gan_lab.evaluation.reports.outcome import Evaluation

    evaluator = evaluator_for(session.model, session.data(request.root, request.data), request)
    if evaluator is None:
        raise UserError(f"The data of {session.path} do not suit {session.name}: there is nothing to compare.")
    facts = {"checkpoint": str(session.path), "images_seen": int(getattr(session.model, "images_seen", 0))}
    name = f"{session.path.stem}-evaluation" if request.output is None else "evaluation"
    return Evaluation(session.model, evaluator, f"{run_title(session.path.parent)}, {session.path.stem}", facts), name


def from_folders(session: Session, request: EvaluateRequest) -> tuple[Evaluation, str]:
    """The evaluation of the images of one folder against those of another."""
    from gan_lab.data.sources.folders import folder_pictures
    from gan_lab.evaluation.image_sets import StoredSampler
    from gan_lab.evaluation.reports.outcome import Evaluation

    assert request.real is not None and request.fake is not None
    real, fake = folder_pictures(str(request.real), str(request.fake), request.size)
    n = min(request.n or fake.count("train"), fake.count("train"))
    sampler = StoredSampler(fake, session.device)
    evaluator = evaluator_for(sampler, real, request, n=n, split="train")
    names = [path.resolve().name for path in (request.fake, request.real)]
    count = min(request.limit or real.count("train"), real.count("train"))
    against = f"{n:,} images of {names[0]} against {count:,} of {names[1]}"
    return Evaluation(sampler, evaluator, " against ".join(names), {"fake": fake.describe()}, against), "evaluation"


def evaluator_for(model: Any, data: Any, request: EvaluateRequest, **changes: Any) -> Any:
    """The evaluator for this model and these data, with the request's metrics and extractors; None if none fits."""
    from gan_lab.common.instantiate import instantiate
    from gan_lab.evaluation.evaluators.select import select_evaluator

    keys = ("n", "paired", "split", "seed", "truncation", "limit", "batch_size")
    options = {key: getattr(request, key) for key in keys} | changes
    weights = {name: None if path is None else str(path) for name, path in request.weights.items()}
    extractors = instantiate(dict(request.extractor or {}))
    return select_evaluator(
        model, data, instantiate(dict(request.metrics or {})), extractors=extractors, weights=weights, **options
    )


if __name__ == "__main__":
    evaluate()
