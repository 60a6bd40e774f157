"""Selects the evaluator of a model and its data."""

from collections.abc import Mapping, Sequence
from typing import Unpack

from gan_lab.common.errors import UserError
from gan_lab.evaluation.data_kind import AnyEvaluator, DataKind
from gan_lab.evaluation.evaluators.base import EvaluatorInputs, EvaluatorOptions
from gan_lab.evaluation.factories import MetricFactory, check_options
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.kinds import kind_of


def select_evaluator(
    model: object,
    data: object,
    metrics: Mapping[str, MetricFactory],
    n: int | None = None,
    extractors: Mapping[str, Extractor] | None = None,
    weights: Mapping[str, str | None] | None = None,
    paired: bool | None = None,
    **options: Unpack[EvaluatorOptions],
) -> AnyEvaluator | None:
    """Returns the evaluator of a model and its data, or None if there is nothing to compare.

    Args:
        model: the model.
        data: the data module.
        metrics: factories by name.
        n: maximal number of samples, or of images to translate; None takes the default of the data's kind.
        extractors: by name; None or empty takes the default of the data's kind.
        weights: files of LPIPS' networks, by name.
        paired: whether image i of domain "a" belongs to image i of "b"; None takes what the data state.
        options: see ``Evaluator``.

    Raises:
        UserError: if n is below 2, weights are not the published ones, there are too few images to translate, an
            extractor takes other items, or a metric has no such option.
    """
    if n is not None and n < 2:
        raise UserError(f"n={n} is not valid: a distance needs at least 2 samples, and several thousand to be stable.")
    kind = kind_of(data)
    task = kind.task_of(model) if kind else None
    if kind is None or task is None:
        return None
    check_options(metrics)
    chosen = list((extractors or {}).values())
    _check_extractors(chosen, kind)
    if not chosen and kind.default_extractor is not None:
        chosen = [kind.default_extractor(model, data)]
    n = kind.default_n(data) if n is None else n
    return task.evaluator(EvaluatorInputs(model, data, n, chosen, metrics, dict(weights or {}), paired, options))


def _check_extractors(extractors: Sequence[Extractor], kind: DataKind) -> None:
    for each in extractors:
        if kind.items is not None and each.items != kind.items:
            raise UserError(f"extractor={each.name} takes {each.items}, and these data are {kind.items}: leave it out.")
