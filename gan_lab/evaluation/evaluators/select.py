"""Which way of measuring suits a model and its data."""

from collections.abc import Mapping, Sequence
from typing import Any

from gan_lab.common.capabilities import (
    Mixture,
    Predicts,
    RealClips,
    RealImages,
    Samples,
    SamplesClips,
    Translates,
    TwoDomains,
)
from gan_lab.common.errors import UserError
from gan_lab.evaluation.evaluators.base import Evaluator
from gan_lab.evaluation.evaluators.clips import ClipSampleEvaluator, PredictionEvaluator
from gan_lab.evaluation.evaluators.samples import ModeEvaluator, SampleEvaluator
from gan_lab.evaluation.evaluators.translations import TranslationEvaluator
from gan_lab.evaluation.features.extractors import Extractor, Grey, Video, default_extractor
from gan_lab.evaluation.metrics.modes import StackedDigits
from gan_lab.evaluation.metrics.translation import comparing, counts
from gan_lab.evaluation.suite import MetricFactory

SAMPLES, COUNTED, SEQUENCES = 10_000, 25_600, 2_000
"""How many are measured unless it is said, where modes are counted (the literature's number), and of clips."""


def select_evaluator(
    model: Any,
    data: Any,
    parts: Mapping[str, MetricFactory],
    n: int | None = None,
    extractors: Mapping[str, Extractor] | None = None,
    weights: Mapping[str, str | None] | None = None,
    paired: bool | None = None,
    **options: Any,
) -> Evaluator | None:
    """The way to measure this model on these data; None where there is nothing to compare.

    Args:
        parts: comparisons and probes by name.
        n: samples, or pictures to translate at most; None takes ``SAMPLES``, ``COUNTED``, or ``SEQUENCES``.
        extractors: by name; None or empty takes ours for the data's channels, or for clips.
        weights: files of LPIPS' trunks, by name.
        paired: whether picture i of "a" belongs to picture i of "b"; None takes what the data say.
        options: what ``Evaluator`` takes.

    Raises:
        UserError: for fewer than two samples, for weights that are not what they should be, too few pictures to
            translate, and extractors that do not take what is measured.
    """
    if n is not None and n < 2:
        raise UserError(f"A distance needs at least 2 samples, not {n}: several thousand make it steady.")
    if n is None:
        n = SEQUENCES if isinstance(data, RealClips) else SAMPLES
        n = COUNTED if isinstance(data, Mixture) or getattr(data, "stacked", False) else n
    chosen = list((extractors or {}).values())
    _check_taken(chosen, isinstance(data, RealClips))
    weights = dict(weights or {})
    if isinstance(model, Translates) and isinstance(data, TwoDomains):
        counts(model, data, n)
        grey = all(domain.channels == 1 and not domain.labels for domain in model.domains.values())
        chosen = chosen or [default_extractor(1 if grey else 3)]
        pairs = comparing(model, data, weights) if (data.paired if paired is None else paired) else {}
        return TranslationEvaluator(data, n, chosen, parts, **options, pairs=pairs)
    if isinstance(model, Samples) and isinstance(data, RealImages):
        judge = StackedDigits(Grey()) if getattr(data, "stacked", False) else None
        return SampleEvaluator(
            data, n, chosen or [default_extractor(data.channels)], parts, **options, judge=judge, weights=weights
        )
    if isinstance(model, Predicts) and isinstance(data, RealClips):
        return PredictionEvaluator(data, n, chosen or [Video()], parts, **options, weights=weights)
    if isinstance(model, SamplesClips) and isinstance(data, RealClips):
        return ClipSampleEvaluator(data, n, chosen or [Video()], parts, **options, weights=weights)
    if isinstance(model, Samples) and isinstance(data, Mixture):
        return ModeEvaluator(data, n, [], parts, **options)
    return None


def _check_taken(extractors: Sequence[Extractor], clips: bool) -> None:
    for each in extractors:
        if (each.axes == 5) != clips:
            takes, has = ("pictures", "clips")[each.axes == 5], ("pictures", "clips")[clips]
            raise UserError(f"extractor={each.name} takes {takes}, and these data are {has}: leave it away.")
