"""Evaluations that a request asks for: of a checkpoint's model, or of two folders of images."""

from typing import TYPE_CHECKING, Any

from gan_lab.cli.session import Session
from gan_lab.common.errors import UserError
from gan_lab.common.instantiate import instantiate
from gan_lab.common.runs import run_title
from gan_lab.data.sources.folders import folder_pictures
from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.evaluation.evaluators.select import select_evaluator
from gan_lab.evaluation.image_sets import StoredSampler
from gan_lab.evaluation.reports.outcome import Evaluation

if TYPE_CHECKING:
    from gan_lab.evaluate import EvaluateRequest


def from_checkpoint(session: Session, request: "EvaluateRequest") -> tuple[Evaluation, str]:
    """The evaluation of a model on the data that it was trained on, and its name.

    Raises:
        UserError: if the data do not suit the model.
    """
    evaluator = evaluator_for(session.model, session.data(request.root, request.data), request)
    if evaluator is None:
        raise UserError(f"The data of {session.path} do not suit {session.name}: there is nothing to compare.")
    facts = {"checkpoint": str(session.path), "images_seen": int(getattr(session.model, "images_seen", 0))}
    name = f"{session.path.stem}-evaluation" if request.output is None else "evaluation"
    return Evaluation(session.model, evaluator, f"{run_title(session.path.parent)}, {session.path.stem}", facts), name


def from_folders(session: Session, request: "EvaluateRequest") -> tuple[Evaluation, str]:
    """The evaluation of the images of one folder against those of another, and its name."""
    assert request.real is not None and request.fake is not None
    real, fake = folder_pictures(str(request.real), str(request.fake), request.size)
    n = min(request.n or fake.count("train"), fake.count("train"))
    sampler = StoredSampler(fake, session.device)
    evaluator = evaluator_for(sampler, real, request, n=n, split="train")
    assert evaluator is not None
    names = [path.resolve().name for path in (request.fake, request.real)]
    count = min(request.limit or real.count("train"), real.count("train"))
    against = f"{n:,} images of {names[0]} against {count:,} of {names[1]}"
    return Evaluation(sampler, evaluator, " against ".join(names), {"fake": fake.describe()}, against), "evaluation"


def evaluator_for(model: Any, data: Any, request: "EvaluateRequest", **changes: Any) -> Evaluator | None:
    """The evaluator for this model and these data, with the request's metrics and extractors; None if none fits."""
    keys = ("n", "paired", "split", "seed", "truncation", "limit", "batch_size")
    options = {key: getattr(request, key) for key in keys} | changes
    weights = {name: None if path is None else str(path) for name, path in request.weights.items()}
    extractors = instantiate(dict(request.extractor or {}))
    return select_evaluator(
        model, data, instantiate(dict(request.metrics or {})), extractors=extractors, weights=weights, **options
    )
