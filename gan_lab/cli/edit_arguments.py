"""The steps of a recipe of an edit as a file states them: plain values, checked by their annotations."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from gan_lab.cli.values import convert
from gan_lab.common.bounds import PositiveFloat, PositiveInt, Share
from gan_lab.common.errors import UserError
from gan_lab.inference.edit_steps import Invert, Truncate, Tune
from gan_lab.inference.regions import Box


@dataclass(frozen=True)
class MoveArguments:
    """A direction in a file.

    Args:
        directions: the file.
        direction: the direction's name, or its number from 0.
        strength: in deviations of the space.
        layers: first and last layer; None for all.
        digest: of the file's contents; None takes any.
    """

    directions: Path
    direction: str | int
    strength: float
    layers: tuple[int, int] | None = None
    digest: str | None = None


@dataclass(frozen=True)
class MixArguments:
    """Other images.

    Args:
        image: a file, or a folder of images, of which the mean code is taken.
        amount: 1 takes its code, 0.5 is the middle.
        layers: first and last layer; None for all.
        interpolation: on a straight line, or spherically.
        digest: of the files' contents; None takes any.
    """

    image: Path
    amount: Share = 1.0
    layers: tuple[int, int] | None = None
    interpolation: Literal["linear", "spherical"] = "linear"
    digest: str | None = None


@dataclass(frozen=True)
class SwapArguments:
    """A region of another image.

    Args:
        image: its file.
        region: left, top, right, bottom in pixels of the model's images, or a picture that is white in the region.
        reduction: see ``gan_lab.inference.regions.swapped``.
        digest: of the image's contents; None takes any.
        region_digest: of the region's picture; None takes any.
    """

    image: Path
    region: Box | Path
    reduction: PositiveInt = 4
    digest: str | None = None
    region_digest: str | None = None


@dataclass(frozen=True)
class MaskArguments:
    """A region that the edit is kept within.

    Args:
        region: left, top, right, bottom in pixels of the model's images, or a picture that is white in the region.
        region_digest: of the region's picture; None takes any.
    """

    region: Box | Path
    region_digest: str | None = None


@dataclass(frozen=True)
class RestoreArguments:
    """A model that restores.

    Args:
        checkpoint: its file.
        digest: of its contents; None takes any.
    """

    checkpoint: Path
    digest: str | None = None


@dataclass(frozen=True)
class DragArguments:
    """Points of the model's images, in pixels.

    Args:
        points: row and column of each handle, and those of its target.
        movable: left, top, right, bottom of the box that may change; None for everywhere.
        steps, rate, reduction, layers: see ``gan_lab.inference.dragging.drag``.
    """

    points: tuple[tuple[float, float, float, float], ...]
    movable: Box | None = None
    steps: PositiveInt = 200
    rate: PositiveFloat = 2e-3
    reduction: PositiveInt = 4
    layers: PositiveInt | None = None


STEPS: Mapping[str, type] = {
    "invert": Invert, "tune": Tune, "move": MoveArguments, "mix": MixArguments, "truncate": Truncate,
    "swap": SwapArguments, "drag": DragArguments, "mask": MaskArguments, "restore": RestoreArguments,
}  # fmt: skip
"""What each step of a recipe states."""


def stated(name: str, values: Mapping[str, Any]) -> Any:
    """Returns the arguments of a step, checked.

    Raises:
        UserError: for an unknown step or value, and for one that is missing.
    """
    if name not in STEPS:
        raise UserError(f"There is no step {name}: recipes have {', '.join(STEPS)}.")
    kind, found = STEPS[name], convert(name, values, STEPS[name])
    lacking = [each.name for each in fields(kind) if each.name not in found and _is_required(each)]
    if lacking:
        raise UserError(f"The step {name} lacks {' and '.join(lacking)}: complete the recipe.")
    return kind(**found)


def found_file(path: Path, folder: Path) -> Path:
    """Returns the path of a file that a recipe names: from here, in the recipe's folder, or beside it by its name."""
    places = [path.expanduser(), folder / path, folder / path.name]
    return next((each for each in places if each.exists()), places[0])


def completed(arguments: Any, folder: Path) -> Any:
    """Returns arguments with absolute paths of the files that they name, and the digests of these.

    Args:
        arguments: of a step.
        folder: of the recipe.
    """
    known = {each.name for each in fields(arguments)}
    changes: dict[str, Any] = {}
    for name in known:
        value = getattr(arguments, name)
        key = f"{name}_digest" if f"{name}_digest" in known else "digest"
        if isinstance(value, Path) and (path := found_file(value, folder)).exists():
            changes |= {name: path.absolute(), key: digest(path)}
    return replace(arguments, **changes)


def plain(arguments: Any) -> dict[str, Any]:
    """Returns arguments as plain values."""
    return {name: _plain(value) for name, value in asdict(arguments).items()}


def digest(path: Path) -> str:
    """Returns the first digits of the SHA-256 of a file, or of the names and contents of a folder's files."""
    hashed = sha256()
    if not path.is_dir():
        return sha256(path.read_bytes()).hexdigest()[:16]
    for each in sorted(path.rglob("*")):
        if each.is_file() and not each.name.startswith("."):
            hashed.update(f"{each.relative_to(path).as_posix()} {digest(each)}\n".encode())
    return hashed.hexdigest()[:16]


def _is_required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
