"""The extractors that a model was trained on: metrics in their features are no independent witness of it."""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, get_type_hints

from torch import nn

from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.evaluation.features.maps import ColourMaps, GeneralMaps
from gan_lab.evaluation.features.perceptual import PerceptualDistance

WITNESSES = (Extractor, PerceptualDistance, GeneralMaps, ColourMaps)


def trained_on(model: object) -> list[str] | None:
    """Returns the names of the extractors and perceptual distances in a model's losses; None if it is no module.

    The parts of the model are searched, however they are nested in modules, dataclasses, lists, mappings and partials,
    also parts that are outside of its weights. A function that is to build one when training begins (a partial) is
    asked for it, if it states what it returns.
    """
    return sorted(set(_witnesses(model, set()))) if isinstance(model, nn.Module) else None


def _witnesses(part: Any, seen: set[int]) -> Iterator[str]:
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, WITNESSES):
        yield part.name
    elif isinstance(part, partial) and (built := _witness_that_is_built(part.func)):
        yield from _name_when_built(part, built)
    else:
        for each in _parts_of(part):
            yield from _witnesses(each, seen)


def _parts_of(part: Any) -> list[Any]:
    """Returns the parts of a module or container; others, such as a Trainer, are not searched."""
    if isinstance(part, partial):
        return [part.func, *part.args, *part.keywords.values()]
    if isinstance(part, nn.Module) or (is_dataclass(part) and not isinstance(part, type)):
        return list(vars(part).values())
    if isinstance(part, Mapping):
        return list(part.values())
    return list(part) if isinstance(part, list | tuple | set) else []


def _witness_that_is_built(function: Any) -> type | None:
    """Returns the class of the witness that a function returns; None if it is another, or not stated."""
    built = function if isinstance(function, type) else _return_type(function)
    return built if isinstance(built, type) and issubclass(built, WITNESSES) else None


def _return_type(function: Any) -> Any:
    """Returns the annotation of a function's result alone: others may have names that exist for type checkers only."""
    stated = {key: each for key, each in getattr(function, "__annotations__", {}).items() if key == "return"}
    try:
        return get_type_hints(SimpleNamespace(__annotations__=stated), getattr(function, "__globals__", {})).get(
            "return"
        )
    except Exception:  # any expression can be an annotation
        return None


def _name_when_built(part: partial[Any], built: type) -> list[str]:
    """Returns the name of the witness that a partial builds; that of its class if it needs more arguments."""
    try:
        return [part().name]
    except Exception:  # what is wrong with it is the training's affair
        name = getattr(built, "name", None)
        return [name] if isinstance(name, str) else []
