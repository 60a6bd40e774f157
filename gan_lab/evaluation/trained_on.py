"""The extractors that a model was trained on: metrics in their features are no independent witness of it."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import partial
from typing import Any, get_type_hints

from torch import nn

from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.features.perceptual import PerceptualDistance

WITNESSES = (Extractor, PerceptualDistance)


def trained_on(model: object) -> list[str] | None:
    """Returns the names of the extractors and perceptual distances in a model's losses; None if it is no module.

    The parts of the model are searched, however they are nested in modules, dataclasses, lists and mappings, also parts
    that are outside of its weights. A function that is to build one when training begins (a partial) is asked for it.
    """
    return sorted({found.name for found in _witnesses(model, set())}) if isinstance(model, nn.Module) else None


def _witnesses(part: Any, seen: set[int]) -> Iterator[Extractor | PerceptualDistance]:
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, partial) and _builds_witness(part.func):
        part = part()
    if isinstance(part, WITNESSES):
        yield part
        return
    for each in _parts_of(part):
        yield from _witnesses(each, seen)


def _parts_of(part: Any) -> list[Any]:
    """Returns the parts of a module or container; others, such as a Trainer, are not searched."""
    if isinstance(part, nn.Module) or (is_dataclass(part) and not isinstance(part, type)):
        return list(vars(part).values())
    if isinstance(part, Mapping):
        return list(part.values())
    return list(part) if isinstance(part, list | tuple | set) else []


def _builds_witness(function: Any) -> bool:
    built = function if isinstance(function, type) else get_type_hints(function).get("return")
    return isinstance(built, type) and issubclass(built, WITNESSES)
