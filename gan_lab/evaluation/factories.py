"""Metrics as the user chose them: classes or partials, built with the arguments that they take."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from gan_lab.common.errors import UserError
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.model_metric import ModelMetric
from gan_lab.evaluation.statistics import Comparison

AnyComparison = Comparison[Any, Any]
AnyModelMetric = ModelMetric[Any, Any]
MetricFactory = Callable[..., AnyComparison | AnyModelMetric]
"""The class of a comparison or of a model metric, or a partial of it with the user's options."""


def metric_class(factory: MetricFactory) -> type:
    """Returns the class of the metric that the factory builds."""
    return cast(type, factory.func if isinstance(factory, partial) else factory)


def is_model_metric(factory: MetricFactory) -> bool:
    """Tells whether the factory builds a model metric."""
    return issubclass(metric_class(factory), ModelMetric)


def comparison_class(factory: MetricFactory) -> type[AnyComparison] | None:
    """Returns the class of the comparison that the factory builds, None if it builds a model metric."""
    return None if is_model_metric(factory) else metric_class(factory)


def of_features(factories: Mapping[str, MetricFactory]) -> dict[str, MetricFactory]:
    """Selects the comparisons of features."""
    return comparisons_of(factories, "features")


def comparisons_of(factories: Mapping[str, MetricFactory], *inputs: str) -> dict[str, MetricFactory]:
    """Selects the comparisons of these inputs: "features", "logits" or "images"."""
    kinds = {name: comparison_class(factory) for name, factory in factories.items()}
    return {name: factories[name] for name, kind in kinds.items() if kind is not None and kind.input in inputs}


def build_metric(factory: MetricFactory, offered: Mapping[str, object]) -> AnyComparison | AnyModelMetric | None:
    """Builds a metric with those offered arguments that it takes and the user did not choose.

    Returns None if it needs an argument that is not offered.
    """
    parameters = inspect.signature(factory).parameters
    if any(each.default is each.empty and name not in offered for name, each in parameters.items()):
        return None
    chosen = factory.keywords if isinstance(factory, partial) else {}
    return factory(**{name: value for name, value in offered.items() if name in parameters and name not in chosen})


def check_options(factories: Mapping[str, MetricFactory]) -> None:
    """Refuses options that metrics do not have.

    Raises:
        UserError: naming those that the metric has.
    """
    for name, factory in factories.items():
        chosen = factory.keywords if isinstance(factory, partial) else {}
        taken = inspect.signature(metric_class(factory)).parameters
        unknown = [key for key in chosen if key not in taken]
        if unknown and not any(each.kind is each.VAR_KEYWORD for each in taken.values()):
            options = ", ".join(key for key, each in taken.items() if each.default is not each.empty) or "no options"
            raise UserError(
                f"metrics.{name}.{unknown[0]} is not valid: {metric_class(factory).__name__} has {options}."
            )


def plain_options(factory: MetricFactory) -> dict[str, int | float | str | bool]:
    """Returns a metric's options that are plain values, the user's or the defaults, for the protocol."""
    values = {name: each.default for name, each in inspect.signature(factory).parameters.items()}
    return {name: value for name, value in values.items() if isinstance(value, int | float | str | bool)}


def metric_name(extractor: Extractor | None, key: str, *infixes: str) -> str:
    """Returns the name of a metric, such as ``fd_grey``, ``fid_gaussian``, ``cs_grey_std`` or
    ``kd_colour_a2b_untranslated_error``.

    Args:
        extractor: the extractor whose features or logits the metric is computed of; None for others.
        key: see ``statistics.Values``.
        infixes: parts between the kind and the detail, such as a direction or a baseline.
    """
    kind, _, detail = key.partition(".")
    name = extractor.metric_name(kind) if extractor and kind else kind
    return "_".join(each for each in (name, *infixes, detail.replace(".", "_")) if each)
