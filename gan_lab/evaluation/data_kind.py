"""The form of a kind of data; ``kinds`` has all of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gan_lab.evaluation.evaluators.base import Evaluator, EvaluatorInputs
from gan_lab.evaluation.features.extractors import Extractor
from gan_lab.inference.sheets import Animation, SheetOptions

DEFAULT_N = 10_000

AnyEvaluator = Evaluator[Any, Any]


@dataclass(frozen=True)
class Task:
    """The use of one kind of data by models with one capability.

    Args:
        capability: the protocol that the model satisfies.
        sheet: makes one image, uint8 (1 or 3, H, W), of what the model does.
        evaluator: builds the evaluator of such a model.
        command: a command that uses such a model, after ``python -m gan_lab.``; ``{checkpoint}`` stands for its path.
        animation: makes an animation, with a seed, or returns None if nothing moves.
    """

    capability: type
    sheet: Callable[[Any, Any, SheetOptions], Tensor]
    evaluator: Callable[[EvaluatorInputs], AnyEvaluator]
    command: str
    animation: Callable[[Any, Any, int], Animation | None] = lambda *_: None


@dataclass(frozen=True)
class DataKind:
    """A kind of data.

    Args:
        name: the name; models that learn from this kind state it as ``data_kind``, unless ``learned_as`` differs.
        description: completes "a model learns from …" and "a data set has …".
        example: a data set of this kind that needs no download.
        protocol: the protocol that its data modules satisfy.
        tasks: in the order in which a model's capabilities are considered.
        read: reads n items, evenly spaced over a split, from a data module; None if it has no single list of items.
        write: writes items (N, …) in [-1, 1] as files of a folder, numbered from a start.
        items: what extractors take of it, "images" or "clips"; None if no extractor takes it.
        default_n: the number of items that are evaluated by default.
        default_extractor: the extractor of a model and its data, if the user chooses none.
        learned_as: the name of the kind that models which learn from this one state; None for its own.
        attributes: values that distinguish its data modules from others with the same protocol.
        configured: recognises it by the configuration of a data module.
    """

    name: str
    description: str
    example: str
    protocol: type
    tasks: tuple[Task, ...]
    read: Callable[[Any, str, int], Tensor] | None
    write: Callable[[Path, Tensor, int], None]
    items: str | None = "images"
    default_n: Callable[[Any], int] = lambda _: DEFAULT_N
    default_extractor: Callable[[Any, Any], Extractor] | None = None
    learned_as: str | None = None
    attributes: Mapping[str, object] | None = None
    configured: Callable[[Mapping[str, Any]], bool] = lambda _: False

    @property
    def model_kind(self) -> str:
        """The ``data_kind`` of models that learn from this kind."""
        return self.learned_as or self.name

    def includes(self, data: object) -> bool:
        """Tells whether a data module is of this kind."""
        values = (self.attributes or {}).items()
        return isinstance(data, self.protocol) and all(getattr(data, name, None) == value for name, value in values)

    def task_of(self, model: object) -> Task | None:
        """Returns the first task that the model is capable of, or None."""
        return next((task for task in self.tasks if isinstance(model, task.capability)), None)
