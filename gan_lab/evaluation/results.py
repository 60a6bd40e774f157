"""How good a model's samples are, in figures, and all it takes to make them again."""

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gan_lab.evaluation.features.extractors import Extractor


@dataclass(frozen=True)
class Report:
    """What was measured, in plain containers.

    Args:
        figures: by name, such as ``fd_grey`` or ``fid``; a figure's standard error is ``<name>_error``, and to compare
            there are ``<name>_gaussian`` of the pixel Gaussian and ``<name>_real`` of real pictures.
        curves: by name, what a figure sums up: the share of samples in each class, power by frequency.
        protocol: how: counts on both sides, split, extractors with hash and resizer, seed, precision, versions, data.
    """

    figures: dict[str, float]
    curves: dict[str, list[float]]
    protocol: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """Without figures that are no numbers, as errors of one picture are; their names are kept, ``undefined``."""
        figures = {name: value for name, value in self.figures.items() if math.isfinite(value)}
        undefined = [name for name in self.figures if name not in figures]
        return {**asdict(self), "figures": figures, **({"undefined": undefined} if undefined else {})}


def environment_info(model: Any, data: Mapping[str, Any], extractors: Sequence[Extractor]) -> dict[str, Any]:
    """What every protocol says: whether the model's averages were measured, the extractors, the data as they describe
    themselves, the versions.
    """
    return {
        "ema": getattr(model, "uses_ema", None),
        "extractors": {extractor.name: _described(extractor) for extractor in extractors},
        "data": data,
        "versions": {name: _version(name) for name in ("gan_lab", "torch", "torchvision", "torchmetrics", "numpy")},
    }


def _described(extractor: Extractor) -> dict[str, Any]:
    named = {name: extractor.figure(kind) for name, kind in (("distance", "fd"), ("kernel", "kd"), ("score", "cs"))}
    return named | extractor.describe()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
        return "unknown"
