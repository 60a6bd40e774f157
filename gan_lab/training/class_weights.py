"""Weights that classes have, by the names of the classes: for a run that starts from a run of other classes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_lab.common.instantiate import instantiate

CLASSES = ("classes", "domains", "codes")
"""Keys of a model and its networks that are the number of classes."""


def carry_classes(model: Any, checkpoint: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Gives a model's classes the weights of the classes of the same names in a checkpoint.

    The weights that classes have are those that a model with one class more has larger, or more of. That model also
    gives the weights of new classes. Equalised layers divide by the root of their inputs, so with another number of
    classes StyleGAN2's embeddings keep their directions only. Combinations of attributes have no weights of their own.

    Args:
        model: built from its ``configuration``, which is changed.
        checkpoint: of a model with the same networks, but perhaps more or fewer classes.
        names: of the model's classes.

    Returns:
        the names of the classes that the checkpoint does not have; nothing if names are not known, or are the same.
    """
    had, wanted = _names(checkpoint), [name.lower() for name in names]
    if not had or had == wanted or _classes(model) != len(wanted):
        return []
    current, larger, source = model.state_dict(), _with_one_class_more(model), checkpoint["state_dict"]
    numbers = [had.index(each) if each in had else None for each in wanted]
    changed = _changed_modules(larger, current, source, numbers)
    for name, rows in _rows_of(current, larger, len(wanted)).items():
        old = source.get(name)
        fitting = old if rows.fit(old, current[name], len(had)) else None
        changed[name] = rows.carried(current[name], larger[name], fitting, numbers)
    model.load_state_dict(changed, strict=False)
    return [name for name in names if name.lower() not in had] if changed else []


def weights_of_classes(model: Any, checkpoint: Mapping[str, Any]) -> set[str]:
    """Returns the names of a model's weights that ``carry_classes`` takes from a checkpoint, class by class."""
    had, classes = _names(checkpoint), _classes(model)
    if not had or not classes:
        return set()
    current, source = model.state_dict(), checkpoint["state_dict"]
    found = _rows_of(current, _with_one_class_more(model), classes)
    return {name for name, rows in found.items() if rows.fit(source.get(name), current[name], len(had))}


def _classes(model: Any) -> int:
    """The number of a model's classes; 0 for combinations of attributes."""
    return 0 if getattr(model, "attributes", 0) else int(getattr(model, "classes", 0))


def _names(checkpoint: Mapping[str, Any]) -> list[str]:
    return [str(each).lower() for each in checkpoint.get("gan_lab", {}).get("class_names") or ()]


class _Rows(NamedTuple):
    """The part of a weight that classes have: equal slices along one axis, after those of other inputs."""

    axis: int
    first: int
    step: int

    def of(self, weight: Tensor, number: int) -> Tensor:
        return weight.narrow(self.axis, self.first + number * self.step, self.step)

    def fit(self, weight: Tensor | None, current: Tensor, classes: int) -> bool:
        """Says whether a weight of a model with some number of classes differs from this model's by these only."""
        wanted = list(current.shape)
        wanted[self.axis] = self.first + classes * self.step
        return weight is not None and list(weight.shape) == wanted

    def carried(self, current: Tensor, larger: Tensor, old: Tensor | None, numbers: Sequence[int | None]) -> Tensor:
        """Returns a weight with the slices of old classes by their numbers, and new ones elsewhere."""
        value = current.clone()
        if old is not None:
            value.narrow(self.axis, 0, self.first).copy_(old.narrow(self.axis, 0, self.first))
        for number, place in enumerate(numbers):
            known = old is not None and place is not None
            self.of(value, number).copy_(self.of(old, place) if known else self.of(larger, number))  # type: ignore[arg-type]
        return value


def _rows_of(current: Mapping[str, Tensor], larger: Mapping[str, Tensor], classes: int) -> dict[str, _Rows]:
    """Returns the parts of weights that classes have, given those of a model with one class more."""
    found = {}
    for name in current.keys() & larger.keys():
        mine, its = current[name].shape, larger[name].shape
        axes = [axis for axis, (a, b) in enumerate(zip(mine, its, strict=True)) if a != b]
        if len(axes) == 1:
            step = its[axes[0]] - mine[axes[0]]
            found[name] = _Rows(axes[0], mine[axes[0]] - classes * step, step)
    return found


def _changed_modules(
    larger: Mapping[str, Tensor],
    current: Mapping[str, Tensor],
    source: Mapping[str, Tensor],
    numbers: Sequence[int | None],
) -> dict[str, Tensor]:
    """Returns the weights of modules that each class has one of, such as ``heads.2.weight``."""
    found = {}
    for added in larger.keys() - current.keys():
        for before, after in _splits(added, len(numbers)):
            own = [f"{before}.{number}.{after}" for number in range(len(numbers))]
            if not current.keys() >= {*own}:
                continue
            for name, place in zip(own, numbers, strict=True):
                old = source.get(f"{before}.{place}.{after}")
                found[name] = larger[name] if old is None or old.shape != larger[name].shape else old
    return found


def _splits(name: str, number: int) -> list[tuple[str, str]]:
    """Returns what stands before and after a number in a dotted name, wherever it does."""
    parts = name.split(".")
    places = [place for place, part in enumerate(parts) if part == str(number)]
    return [(".".join(parts[:place]), ".".join(parts[place + 1 :])) for place in places]


def _with_one_class_more(model: Any) -> Mapping[str, Tensor]:
    """Returns the weights of a new model with one class more, drawn alike by every process."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(getattr(getattr(model, "engine", None), "seed", 0))
        larger: nn.Module = instantiate(_replaced(model.configuration["model"], model.classes))
    return larger.state_dict()


def _replaced(node: Any, classes: int) -> Any:
    if isinstance(node, Mapping):
        return {
            key: classes + 1 if key in CLASSES and value == classes else _replaced(value, classes)
            for key, value in node.items()
        }
    return node
