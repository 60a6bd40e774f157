"""The result of an evaluation: metrics, curves, and the protocol that is needed to repeat it."""

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from gan_lab.common.errors import reason
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.trained_on import trained_on


@dataclass(frozen=True)
class EvaluationResult:
    """The result of an evaluation, in plain containers.

    Args:
        metrics: by name, such as ``fd_grey`` or ``fid``. A metric's standard error is ``<name>_error``; for
            comparison there are ``<name>_gaussian`` of the pixel Gaussian and ``<name>_real`` of real images.
        curves: by name, the values behind a metric: the share of samples in each class, power by frequency.
        protocol: counts on both sides, split, extractors with hash and resizer, seed, precision, versions, data.
        failed: the errors of metrics that are missing, by metric.
    """

    metrics: dict[str, float]
    curves: dict[str, list[float]]
    protocol: dict[str, Any]
    failed: Mapping[str, Exception] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Returns the result as a JSON object, whose key for metrics is ``figures``. Metrics that are not finite, such
        as the error of a single image, are left out; their names are listed under ``undefined``, and reasons of those
        that failed under ``failed``.
        """
        finite = {name: value for name, value in self.metrics.items() if math.isfinite(value)}
        undefined = [name for name in self.metrics if name not in finite]
        found = {"figures": finite, "curves": deepcopy(self.curves), "protocol": deepcopy(self.protocol)}
        failed = {name: reason(error) for name, error in self.failed.items()}
        return found | ({"undefined": undefined} if undefined else {}) | ({"failed": failed} if failed else {})


def environment_info(model: object, data: Mapping[str, object], extractors: Sequence[Extractor]) -> dict[str, object]:
    """Returns the part of the protocol that all evaluations share.

    Args:
        model: the evaluated model; the protocol states whether its moving averages were evaluated, and the extractors
            of its losses.
        data: the data's description of themselves.
        extractors: the feature extractors used.
    """
    return {
        "ema": getattr(model, "averaging", None),
        "trained_on": trained_on(model),
        "extractors": {extractor.name: _extractor_info(extractor) for extractor in extractors},
        "data": data,
        "versions": {name: _version(name) for name in ("gan_lab", "torch", "torchvision", "torchmetrics", "numpy")},
    }


def _extractor_info(extractor: Extractor) -> dict[str, object]:
    kinds = (("distance", "fd"), ("kernel", "kd"), ("score", "cs"))
    return {name: extractor.metric_name(kind) for name, kind in kinds} | extractor.describe()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
        return "unknown"
