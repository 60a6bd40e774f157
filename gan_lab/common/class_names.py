"""Names of the classes that a conditional model was trained on, which it carries as ``class_names``."""

from collections.abc import Sequence
from pathlib import Path

from gan_lab.common.errors import UserError
from gan_lab.common.near_names import nearest

SHOWN = 12
"""Names that a message lists at most."""


def class_names(model: object) -> list[str]:
    """Returns the names of a model's classes, in the order of their numbers; empty if it has no classes or names."""
    return list(getattr(model, "class_names", ()))


def name_classes(model: object, names: Sequence[str] | None) -> None:
    """Gives a conditional model the names of its classes, if there is one for each."""
    if names and getattr(model, "classes", 0) == len(names):
        model.class_names = tuple(names)  # type: ignore[attr-defined]


def check_class_names(model: object, stored: Sequence[str] | None, found: Sequence[str]) -> None:
    """Checks that data have the classes of a conditional model in their order; without names nothing is checked.

    Args:
        model: the model.
        stored: names of the classes that it was trained on.
        found: names of the classes of the data.

    Raises:
        UserError: if they differ; it names the first that do.
    """
    if not getattr(model, "classes", 0) or not stored or not found:
        return
    if [name.lower() for name in stored] != [name.lower() for name in found]:
        raise UserError(
            f"The model was trained on the classes {listed(stored)}, but the data have {listed(found)}: give data with "
            "the same classes."
        )


def label_number(model: object, label: str | int | None, num_labels: int, key: str = "label") -> int | None:
    """Returns the number of a class that is given by its name or its number; a name has precedence.

    Args:
        model: the model, which may know names.
        label: name or number, or None.
        num_labels: number of labels that the model knows; 0 for an unconditional model.
        key: the user's name for it, in errors.

    Raises:
        UserError: if the model has no such class.
    """
    if label is None:
        return None
    if not num_labels:
        raise UserError("This model was trained without labels: leave label= out.")
    names, text = class_names(model), str(label)
    number = int(text) if text.removeprefix("-").isdecimal() else None
    matches = [k for k, name in enumerate(names) if name == text]
    matches = matches or [k for k, name in enumerate(names) if _is_called(name, text, number)]
    if len(matches) == 1:
        return matches[0]
    if number is not None and not 0 <= number < num_labels:
        raise UserError(f"{key}={label} is not valid: the model knows the classes 0 to {num_labels - 1}.")
    if number is None or (names and all(name.isdecimal() for name in names)):
        raise UserError(f"{key}={label} is not valid: {_valid(names, text, num_labels)}.")
    return number


def _is_called(name: str, text: str, number: int | None) -> bool:
    return name.lower() == text.lower() if number is None else name.isdecimal() and int(name) == number


def _valid(names: Sequence[str], text: str, num_labels: int) -> str:
    """Says which labels are valid."""
    if not names:
        return f"the classes of this model have no names, so give a number from 0 to {num_labels - 1}"
    near = nearest(text, names)
    meant = f"did you mean {near}? The" if near else "the"
    return f"{meant} classes are {listed(names)}"


def listed(names: Sequence[str], limit: int = SHOWN) -> str:
    """Joins names by commas: the first ones, and the number of the others."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit:,} more" if len(names) > limit else "")


def file_name(name: str, instead: str) -> str:
    """Returns a class's name if a file can have it, else what it has instead."""
    plain = bool(name) and Path(name).name == name and not name.startswith(".")
    return name if plain else instead
