"""Which way of measuring suits a model and its data."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from gan_lab.callbacks.measure import Measure
from gan_lab.callbacks.measure_samples import ModeMeasure, SampleMeasure
from gan_lab.callbacks.measure_translations import TranslationMeasure
from gan_lab.metrics.classwise import measurable
from gan_lab.metrics.extractors import WEIGHTS, Extractor, Grey, default_for, extractor
from gan_lab.metrics.modes import StackedDigits
from gan_lab.metrics.targets import counts
from gan_lab.metrics.translation import comparing
from gan_lab.types import LabelledImages, Mixture, RealImages, Samples, Translates, TwoDomains, UserError

SAMPLES, COUNTED = 10_000, 25_600
"""How many are measured unless it is said, and where modes are counted (the literature's number)."""


def measure_for(
    model: Any,
    data: Any,
    n: int | None = None,
    names: Sequence[str] | None = None,
    weights: Mapping[str, str | None] | None = None,
    paired: bool | None = None,
    **options: Any,
) -> Measure | None:
    """The way to measure this model on these data; None where there is nothing to compare.

    Args:
        n: samples, or pictures to translate at most; None takes ``SAMPLES``, or ``COUNTED``.
        names: of extractors; None takes ours for the data's channels.
        weights: files of extractors and of LPIPS' trunks, by name.
        paired: whether picture i of "a" belongs to picture i of "b"; None takes what the data say.
        options: what ``Measure`` takes.

    Raises:
        UserError: for fewer than two samples, an unknown extractor, weights that are missing or not what they should
            be, and too few pictures to translate.
    """
    weights = dict(weights or {})
    if n is not None and n < 2:
        raise UserError(f"A distance needs at least 2 samples, not n={n}: several thousand make it steady.")
    if n is None:
        n = COUNTED if isinstance(data, Mixture) or getattr(data, "stacked", False) else SAMPLES
    if isinstance(model, Translates) and isinstance(data, TwoDomains):
        counts(model, data, n)
        grey = all(domain.channels == 1 and not domain.labels for domain in model.domains.values())
        extractors = _extractors(names or [default_for(1 if grey else 3)], weights)
        pairs = comparing(model, data, weights) if (data.paired if paired is None else paired) else {}
        return TranslationMeasure(data, n, extractors, **options, pairs=pairs)
    if isinstance(model, Samples) and isinstance(data, RealImages):
        judge = StackedDigits(Grey(WEIGHTS / "grey.safetensors")) if getattr(data, "stacked", False) else None
        extractors = _extractors(names or [default_for(data.channels)], weights)
        within = False
        if isinstance(data, LabelledImages) and getattr(model, "classes", 0) == data.classes > 0:
            within = measurable(data, options.get("split", "train"), extractors, n, options.get("limit"))
            if not within:
                rank_zero_info("Distances within classes are left out: too few pictures in some, or too many classes.")
        return SampleMeasure(data, n, extractors, **options, judge=judge, conditional=within)
    if isinstance(model, Samples) and isinstance(data, Mixture):
        return ModeMeasure(data, n, [], **options)
    return None


def _extractors(names: Sequence[str], weights: Mapping[str, str | None]) -> list[Extractor]:
    return [extractor(name, weights.get(name)) for name in names]
