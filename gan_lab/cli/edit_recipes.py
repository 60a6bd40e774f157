"""Recipes of edits: the steps with all their arguments, as a file that replays exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import yaml
from yaml import YAMLError

from gan_lab.cli.values import convert
from gan_lab.common.atomic import atomic_write
from gan_lab.common.bounds import Natural, PositiveFloat, PositiveInt, Seed, Share
from gan_lab.common.errors import UserError
from gan_lab.common.version import __version__
from gan_lab.data.reading.examples import pictures_in
from gan_lab.data.reading.resize import ResizeSpec
from gan_lab.inference.directions import Directions
from gan_lab.inference.editing import Drag, Invert, Mix, Move, Step, Truncate, Tune
from gan_lab.inference.spaces import SpaceName

Values = Mapping[str, Any]
"""Plain values by name."""


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
    """Another image.

    Args:
        image: its file.
        amount: 1 takes its code, 0.5 is the middle.
        layers: first and last layer; None for all.
        digest: of the file's contents; None takes any.
    """

    image: Path
    amount: Share = 1.0
    layers: tuple[int, int] | None = None
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
    movable: tuple[int, int, int, int] | None = None
    steps: PositiveInt = 200
    rate: PositiveFloat = 2e-3
    reduction: PositiveInt = 4
    layers: PositiveInt | None = None


STEPS: Mapping[str, type] = {
    "invert": Invert, "tune": Tune, "move": MoveArguments, "mix": MixArguments, "truncate": Truncate,
    "drag": DragArguments,
}  # fmt: skip
"""What each step of a recipe states."""


@dataclass(frozen=True)
class Header:
    """The facts of a recipe besides its steps.

    Args:
        gan_lab: version of this package.
        fingerprint: of the model; empty for any.
        space: of the codes; None for the model's richest.
        label: class of the images, for conditional models.
        seed: of random numbers.
        box: left, top, right, bottom of the part that is edited; None for the middle.
        paste: puts the part back into the photograph.
    """

    gan_lab: str = __version__
    fingerprint: str = ""
    space: SpaceName | None = None
    label: Natural | None = None
    seed: Seed = 0
    box: tuple[int, int, int, int] | None = None
    paste: bool = True


@dataclass(frozen=True)
class EditRecipe:
    """An edit, written down.

    Args:
        header: see ``Header``.
        steps: name and values of each; what is left out has its default.
        folder: that relative paths are also looked for in.
    """

    header: Header
    steps: Sequence[tuple[str, Values]]
    folder: Path = Path()

    def write(self, path: Path) -> None:
        """Writes the recipe as YAML with all values, whole or not at all."""
        plain = {**_plain(self.header), "steps": [{name: _plain(stated)} for name, stated in self.stated()]}
        with atomic_write(path) as temporary:
            temporary.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "EditRecipe":
        """Reads a recipe.

        Raises:
            UserError: if the file is none, or has values that are not valid.
        """
        try:
            plain = yaml.safe_load(path.read_text(encoding="utf-8"))
            steps = [(str(name), values or {}) for step in plain.pop("steps") for name, values in step.items()]
        except (OSError, UnicodeDecodeError, YAMLError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is no recipe of an edit: give a file edit.yaml that edit wrote, in which steps are name: {{}}."
            ) from error
        if not steps:
            raise UserError(f"{path} has no steps: begin them with invert.")
        return cls(Header(**convert("recipe", plain, Header)), steps, path.parent)

    def stated(self) -> list[tuple[str, Any]]:
        """Returns name and arguments of each step, checked.

        Raises:
            UserError: for an unknown step or value.
        """
        return [(name, _stated(name, values)) for name, values in self.steps]

    def built(self, fingerprint: str, space: SpaceName, spec: ResizeSpec) -> list[Step]:
        """Returns the steps.

        Args:
            fingerprint: of the model that they are for.
            space: of its codes.
            spec: size and channels of its images.

        Raises:
            UserError: for another model, an unknown step or value, and files that are missing or have changed.
        """
        if self.header.fingerprint not in ("", fingerprint):
            raise UserError("The recipe is one of another model: give the checkpoint that it was written with.")
        steps: list[Step] = []
        for _, stated in self.stated():
            if isinstance(stated, MixArguments):
                inverts = [each for each in steps if isinstance(each, Invert)]
                steps.append(self._mix(stated, spec, *inverts[:1]))
            elif isinstance(stated, MoveArguments):
                path = self._file(stated.directions, stated.digest)
                vector = Directions.load(path, fingerprint, space).named(str(stated.direction))
                steps.append(Move(vector, stated.strength, stated.layers))
            else:
                steps.append(_drag(stated) if isinstance(stated, DragArguments) else stated)
        return steps

    def _mix(self, stated: MixArguments, spec: ResizeSpec, invert: Invert | None = None) -> Mix:
        """Returns a mixture, with another image that is inverted as the edit's own."""
        path = self._file(stated.image, stated.digest)
        if not path.is_file():
            raise UserError(f"There is no image {path} to mix with: give the path of one.")
        return Mix(pictures_in(path, "other", spec)[:1], stated.amount, stated.layers, invert or Invert())

    def _file(self, path: Path, wanted: str | None) -> Path:
        """Returns the path of a file that the recipe names, from here or from the recipe's folder.

        Raises:
            UserError: if its contents have changed since.
        """
        path = path.expanduser()
        path = path if path.exists() else self.folder / path
        if wanted is not None and path.is_file() and digest(path) != wanted:
            raise UserError(
                f"{path} has changed since the recipe was written: put the file back, or write a new recipe."
            )
        return path


def digest(path: Path) -> str:
    """Returns the first digits of a file's SHA-256."""
    return sha256(path.read_bytes()).hexdigest()[:16]


def _stated(name: str, values: Values) -> Any:
    """Returns the arguments of a step, checked."""
    if name not in STEPS:
        raise UserError(f"There is no step {name}: recipes have {', '.join(STEPS)}.")
    kind, found = STEPS[name], convert(name, values, STEPS[name])
    lacking = [each.name for each in fields(kind) if each.name not in found and _is_required(each)]
    if lacking:
        raise UserError(f"The step {name} lacks {' and '.join(lacking)}: complete the recipe.")
    return kind(**found)


def _is_required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _plain(stated: Any) -> dict[str, Any]:
    """Returns arguments as plain values."""
    return {name: _plain_value(value) for name, value in asdict(stated).items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain_value(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _drag(stated: DragArguments) -> Drag:
    points = torch.tensor(stated.points).view(-1, 4)
    return Drag(
        points[:, :2], points[:, 2:], stated.movable, stated.steps, stated.rate, stated.reduction, stated.layers
    )
